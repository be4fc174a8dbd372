"""The base class of triggers: what may make retraining train a model, and what it sees of a pipeline for that."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from freshet.contracts.messages import Alarm, Command


@dataclass(frozen=True, slots=True)
class Occasion:
    """One reason for one training. It is answered once for all, by a training or by a reason why there is none."""

    kind: str
    """Of the trigger."""
    id: str
    """Unique among the occasions of this kind: an alarm's, a command's, or the row or time at which it was due."""
    from_row: int = 0
    """Rows before this one are not worth learning from: the world has changed since."""
    end_row: int = 0
    """A training on rows up to here has answered it already."""
    objection: str = ""
    """Why it must not lead to a training, as a sentence; empty if it may."""
    by: str = ""
    """Who asked; a person is not held to cool-down and budget."""
    dry_run: bool = False
    """Whether only the plan is asked for."""
    at_ms: int = 0
    """When the rows that it is about were appended to the labelled log; 0 if it is about none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What triggers see of a pipeline. Rows are numbers in the labelled log; times are in milliseconds since 1970."""

    now_ms: int
    applied_ms: int = 0
    """When the specification in force was applied."""
    rows: int | None = None
    """Rows of the labelled log; None while nobody has looked."""
    log: str = ""
    """The id of the log's topic: rows of another one have other numbers. Empty if the broker tells none."""
    trained_row: int = 0
    """The row behind the last one of the newest training; 0 without one."""
    trained_ms: int = 0
    """Append time of the newest label that a model learned from, or when the model that answers was admitted; 0 if
    there is neither.
    """
    answered: Mapping[str, AbstractSet[str]] | None = None
    """Ids of the occasions that have their answer, by kind."""
    alarms: Sequence[Alarm] = ()
    """All alarms, in the order of their topic, each once."""
    commands: Sequence[Command] = ()
    """Commands to retrain without an answer, in the order of their topic."""

    def answered_of(self, kind: str) -> AbstractSet[str]:
        """Ids of this kind that have their answer."""
        return (self.answered or {}).get(kind, frozenset())


class Trigger(BaseModel):
    """One entry of `retraining.triggers`. Subclasses carry a `kind` and are found by it; fields are the YAML's keys.

    Pure: the same sight gives the same occasions.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    kind: ClassVar[str]
    counts_rows: ClassVar[bool] = False
    """Whether it can be due only because the log has grown, so that somebody must look now and then."""

    def occasions(self, seen: Seen) -> Sequence[Occasion]:
        """What is due, the most important first; those that have their answer may be among them."""
        raise NotImplementedError

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)}
