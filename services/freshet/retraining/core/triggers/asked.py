"""`command`: somebody asked for it, by `freshet retrain`."""

from collections.abc import Sequence
from typing import ClassVar

from freshet.contracts.messages import Command
from freshet.contracts.training_message import is_dry_run
from freshet.pipeline.trigger import Occasion, Seen, Trigger


class CommandTrigger(Trigger):
    """Each command to retrain. It counts whether or not a pipeline lists it."""

    kind: ClassVar[str] = "command"

    def occasions(self, seen: Seen) -> Sequence[Occasion]:
        return [_occasion(command, seen.now_ms) for command in seen.commands]


def _occasion(command: Command, now_ms: int) -> Occasion:
    objection = ""
    if command.withdrawn:
        objection = "whoever asked has withdrawn it."
    elif now_ms > command.expires_at_ms:
        objection = "it could not begin in time."
    return Occasion(CommandTrigger.kind, command.command_id, 0, 0, objection, command.by, is_dry_run(command))
