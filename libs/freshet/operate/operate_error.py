"""What an operator is told when something cannot be done."""

from typing import Literal

from freshet.contracts.errors import FreshetError

Meaning = Literal["usage", "unreachable", "refused", "failed", "conflict"]
"""What is to be done about it: ask differently (usage), reach the broker (unreachable), mend what was judged (refused),
settle it with whoever was first (conflict), or what the message says (failed). The command line has an exit code each.
"""


class OperateError(FreshetError):
    """What an operator asked for cannot be done: the message says why and what to do, `meaning` what kind it is."""

    def __init__(self, message: str, meaning: Meaning = "failed") -> None:
        super().__init__(message)
        self.meaning = meaning


class LocalError(OperateError):
    """A process, a file or a wait on this machine has failed."""
