"""What operators asked of one pipeline, and the decision that each command got."""

from dataclasses import dataclass
from typing import Final

from freshet.contracts.messages import Command, Decision
from freshet.ledger.lives import COMMAND, UNKNOWN

_ASKED: Final = "asked"


@dataclass(frozen=True, slots=True)
class Asked:
    """A command without a decision; `offset` is where it was first published."""

    offset: int
    command: Command


class Commands:
    """Folds commands and decisions, in whatever order they come.

    The first record of a command id is the command; later ones repeat it, or say an earlier end: a withdrawal.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self.alarm = ""
        """The last contradiction, in a sentence; it stays."""
        self.open: dict[str, Asked] = {}
        """Commands without a decision, by command id."""
        self.decisions: dict[str, Decision] = {}
        """Decisions on commands, by command id."""

    def state(self, command_id: str) -> str:
        """How far this command is."""
        if command_id in self.decisions:
            return self.decisions[command_id].verdict
        return _ASKED if command_id in self.open else UNKNOWN

    def ask(self, command: Command, offset: int) -> None:
        """Take in a command, its repetition, or its withdrawal."""
        before = self.open.get(command.command_id)
        effect = COMMAND.move(self.state(command.command_id), "withdraw" if command.withdrawn else "ask").effect
        if effect == "keep":
            return
        asked = before or Asked(offset, command)
        first = asked if asked.offset <= offset else Asked(offset, command)
        expires_at_ms = min(asked.command.expires_at_ms, command.expires_at_ms)
        shortened = first.command.model_copy(update={"expires_at_ms": expires_at_ms})
        self.open[command.command_id] = Asked(first.offset, shortened)

    def decide(self, decision: Decision) -> None:
        """Take in a decision; those about candidates and rollouts answer no command."""
        if decision.about != "command":
            return
        command_id, state = decision.subject, self.state(decision.subject)
        if not COMMAND.allows(state, decision.verdict):
            self.alarm = (
                f"command {command_id} of {self._pipeline} was answered as {state} and as {decision.verdict}: the last "
                "decision is in force. Two registries have decided; stop one of them."
            )
        self.decisions[command_id] = decision
        self.open.pop(command_id, None)
