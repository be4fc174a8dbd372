"""Notes and tags that people left on versions and trainings. A tag is a word `#key=value` in a note, as in hashtags.

Notes on a version stand in its history, and stay for ever; notes on a training in the registry's decisions on them,
which are kept as long as trainings are.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Action, Decision, ModelVersion
from freshet.operate.operate_error import OperateError

NOTE: Final[Action] = "annotate"
"""The action of a command that notes something."""
_LINE: Final = re.compile(rf"{NOTE} by (.*?): (.*)", re.DOTALL)
_TAG: Final = re.compile(r"(?<!\S)#([A-Za-z][\w.-]*)=(\S*)")
_PAIR: Final = re.compile(r"[A-Za-z][\w.-]*=\S*")


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody noted."""

    at_ms: int
    by: str
    text: str


def note_text(text: str, tags: Iterable[str]) -> str:
    """A note with these tags, each `key=value`. Raises OperateError on what is no tag, or where there is nothing."""
    words = [text.strip()] if text.strip() else []
    for tag in tags:
        if not _PAIR.fullmatch(tag):
            raise OperateError(
                f"--tag {tag!r} is not KEY=VALUE: a key begins with a letter, and a value has no spaces.", "usage"
            )
        words.append(f"#{tag}")
    if not words:
        raise OperateError("there is nothing to note: give a text, or --tag KEY=VALUE.", "usage")
    return " ".join(words)


def tags_of(notes: Iterable[Note]) -> dict[str, str]:
    """The newest value of each tag; one whose newest value is empty is gone."""
    found: dict[str, str] = {}
    for note in notes:
        found |= dict(_TAG.findall(note.text))
    return {key: value for key, value in sorted(found.items()) if value}


def notes_on(model: ModelVersion) -> list[Note]:
    """The notes in a version's history, the oldest first."""
    lines = ((change.at_ms, _LINE.fullmatch(change.what)) for change in model.history)
    return [Note(at_ms, line[1], line[2]) for at_ms, line in lines if line is not None]


def notes_on_trainings(facts: Iterable[Fact], pipeline: str) -> Mapping[str, list[Note]]:
    """By the training's id, the oldest first: what the records of the topic of decisions tell. Each command once."""
    found: dict[str, dict[str, Note]] = {}
    for fact in facts:
        match fact.message:
            case Decision(pipeline=name, about="command", verdict="done", inputs=told, subject=command) if (
                name == pipeline and told.get("action") == NOTE and "training" in told
            ):
                note = Note(fact.timestamp_ms, told.get("by", ""), told.get("text", ""))
                found.setdefault(told["training"], {}).setdefault(command, note)
    return {training: [*notes.values()] for training, notes in found.items()}
