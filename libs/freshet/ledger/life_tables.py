"""What can happen to an epoch, a version, a command and a worker: one table each, and nothing beside it.

A table says for each state and input what becomes of it. What is not listed cannot be: whoever decides is refused
(`ForbiddenMoveError`), and whoever reads it on a topic knows that somebody decided twice. The same tables stand in
`docs/design.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from freshet.contracts.errors import ContractError

UNKNOWN: Final = "unknown"
"""The state of what no record has named, or of what has a tombstone."""


class ForbiddenMoveError(ContractError):
    """The table of this life does not list the input for the state."""


class Move(NamedTuple):
    """What an input does: what is to be done about it, and the state after it."""

    effect: str
    state: str


@dataclass(frozen=True, slots=True)
class Life:
    """The states of one kind of thing, and every move between them."""

    name: str
    moves: Mapping[str, Mapping[str, Move]]
    """By state, then by input."""

    @property
    def inputs(self) -> list[str]:
        """All that can happen to it, in whatever state."""
        return list(dict.fromkeys(name for moves in self.moves.values() for name in moves))

    def allows(self, state: str, name: str) -> bool:
        """Whether this input may come in this state."""
        return name in self.moves[state]

    def move(self, state: str, name: str) -> Move:
        """What this input does in this state; raises ForbiddenMoveError if the table does not list it."""
        found = self.moves[state].get(name)
        if found is None:
            allowed = ", ".join(self.moves[state]) or "nothing"
            raise ForbiddenMoveError(f"{self.name}: {name!r} cannot follow in state {state!r}, only {allowed}.")
        return found

    def table(self) -> str:
        """The table in Markdown: a row for each state, `effect → state` under each input, `–` for what cannot be."""
        rows = [
            [state, *(" → ".join(moves[name]) if name in moves else "–" for name in self.inputs)]
            for state, moves in self.moves.items()
        ]
        head = [self.name, *self.inputs]
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


_FORGOTTEN: Final = {"tombstone": Move("forget", UNKNOWN)}

EPOCH: Final = Life(
    "epoch",
    {
        UNKNOWN: {
            "prepare": Move("take", "prepare"),
            "live": Move("take", "live"),
            "aborted": Move("take", "aborted"),
        },
        "prepare": {
            "prepare": Move("keep", "prepare"),
            "live": Move("take", "live"),
            "aborted": Move("take", "aborted"),
            **_FORGOTTEN,
        },
        "live": {
            "prepare": Move("keep", "live"),
            "live": Move("keep", "live"),
            **_FORGOTTEN,
        },
        "aborted": {
            "prepare": Move("keep", "aborted"),
            "aborted": Move("keep", "aborted"),
            **_FORGOTTEN,
        },
    },
)
"""Inputs are the phases of its records. `keep`: the record is an older one, read again, and changes nothing."""

VERSION: Final = Life(
    "version",
    {
        UNKNOWN: {"publish": Move("judge", "candidate")},
        "candidate": {
            "publish": Move("judge", "candidate"),
            "admit": Move("record", "admitted"),
            "refuse": Move("record", "refused"),
        },
        "refused": {"publish": Move("judge", "candidate"), **_FORGOTTEN},
        "admitted": {
            "publish": Move("record", "admitted"),
            "serve": Move("load", "admitted"),
            "fail": Move("record", "quarantined"),
            "retire": Move("record", "retired"),
            "note": Move("record", "admitted"),
            **_FORGOTTEN,
        },
        "quarantined": {
            "publish": Move("record", "quarantined"),
            "fail": Move("keep", "quarantined"),
            "reinstate": Move("record", "admitted"),
            "retire": Move("record", "retired"),
            "note": Move("record", "quarantined"),
            **_FORGOTTEN,
        },
        "retired": {
            "publish": Move("record", "retired"),
            "fail": Move("keep", "retired"),
            "retire": Move("keep", "retired"),
            "note": Move("record", "retired"),
            **_FORGOTTEN,
        },
    },
)
"""`serve`: an epoch may name it. `fail`: a worker has quarantined it. `record`: the registry writes it anew."""

_ANSWERS: Final = ("done", "refused", "stale", "expired")

COMMAND: Final = Life(
    "command",
    {
        UNKNOWN: {
            "ask": Move("take", "asked"),
            "withdraw": Move("take", "asked"),
            **{answer: Move("close", answer) for answer in _ANSWERS},
        },
        "asked": {
            "ask": Move("shorten", "asked"),
            "withdraw": Move("shorten", "asked"),
            **{answer: Move("close", answer) for answer in _ANSWERS},
        },
        **{
            answer: {"ask": Move("keep", answer), "withdraw": Move("keep", answer), answer: Move("keep", answer)}
            for answer in _ANSWERS
        },
    },
)
"""The first record of an id is the command; a later one can only end it earlier (`shorten`). One decision closes it."""

_BEATS: Final = {
    "idle beat": Move("replace", "joining"),
    "busy beat": Move("replace", "serving"),
    "goodbye": Move("replace", "leaving"),
}

WORKER: Final = Life(
    "worker",
    {
        UNKNOWN: _BEATS,
        "joining": {**_BEATS, "missed beats": Move("keep", "silent"), **_FORGOTTEN},
        "serving": {**_BEATS, "missed beats": Move("keep", "silent"), **_FORGOTTEN},
        "silent": {**_BEATS, "missed beats": Move("keep", "silent"), **_FORGOTTEN},
        "leaving": {**_BEATS, "missed beats": Move("keep", "leaving"), **_FORGOTTEN},
    },
)
"""A beat is busy if the worker owns partitions. Whoever said good-bye is not missed."""

LIVES: Final = (EPOCH, VERSION, COMMAND, WORKER)
