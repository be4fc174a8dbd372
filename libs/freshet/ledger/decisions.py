"""What operators asked of one pipeline, and the decision that each command got."""

from dataclasses import dataclass, replace
from typing import Final

from freshet.contracts.messages import Command, Decision, Rollout
from freshet.ledger.life_tables import COMMAND, UNKNOWN

_ASKED: Final = "asked"


@dataclass(frozen=True, slots=True)
class Asked:
    """A command, and where and when it was first published."""

    offset: int
    timestamp_ms: int
    command: Command


class Commands:
    """Folds commands and decisions, in whatever order they come.

    The first record of a command id is the command; later ones repeat it, or say an earlier end: a withdrawal.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self.alarm = ""
        """The last contradiction, in a sentence; it stays."""
        self.asked: dict[str, Asked] = {}
        """All commands as they were first asked, by command id."""
        self.open: dict[str, Asked] = {}
        """Those without a decision, with the earliest end that was ever said."""
        self.decisions: dict[str, Decision] = {}
        """Decisions on commands, by command id."""

    def state(self, command_id: str) -> str:
        """How far this command is."""
        if command_id in self.decisions:
            return self.decisions[command_id].verdict
        return _ASKED if command_id in self.open else UNKNOWN

    def ask(self, command: Command, offset: int, timestamp_ms: int = 0) -> None:
        """Take in a command, its repetition, or its withdrawal."""
        command_id, first = command.command_id, Asked(offset, timestamp_ms, command)
        state = self.state(command_id)
        if command_id in self.asked and self.asked[command_id].offset <= offset:
            first = self.asked[command_id]
        self.asked[command_id] = first
        if COMMAND.move(state, "withdraw" if command.withdrawn else "ask").effect == "keep":
            return
        before = self.open[command_id].command if command_id in self.open else command
        expires_at_ms = min(before.expires_at_ms, command.expires_at_ms)
        shortened = first.command.model_copy(update={"expires_at_ms": expires_at_ms})
        self.open[command_id] = replace(first, command=shortened)

    def named_by(self, rollout: Rollout) -> Asked | None:
        """The command that asked for an epoch, if it is known."""
        return self.asked.get(rollout.command_id)

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
