"""The base class of feature transforms: parameters in pipeline.yaml, names of the features, and how to compute them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from freshet.avro.columns import Columns
from freshet.avro.event_fields import EventField, FieldKind
from freshet.contracts.arrays import Floats32


@dataclass(frozen=True, slots=True)
class Domain:
    """The values that a feature can have. A model is compared with its original on nothing else."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    """Whole numbers only."""
    blank: bool = True
    """Whether it can have no value (NaN)."""


class Transform(BaseModel):
    """One entry of `features.columns`. Subclasses carry a `kind` and are found by it; their fields are the YAML's keys.

    A transform has no state: the same row gives the same bits, alone or in a batch, today or next year.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    kind: ClassVar[str]
    accepts: ClassVar[frozenset[FieldKind]]
    """Kinds of event fields it can read."""

    since: int = Field(default=1, ge=1)
    """Version of the feature specification that appended this entry; 1 because most are there from the start."""

    def names(self) -> tuple[str, ...]:
        """Names of the features it makes, in order; unique within the pipeline."""
        raise NotImplementedError

    def domains(self) -> tuple[Domain, ...]:
        """The values that each of its features can have, in the order of `names`; any number, or none, by default."""
        return (Domain(),) * len(self.names())

    def inputs(self) -> tuple[str, ...]:
        """Event fields it reads, each accepted by `accepts`."""
        raise NotImplementedError

    def disagreement(self, fields: Mapping[str, EventField]) -> str | None:  # noqa: ARG002
        """Why the parameters do not fit these fields, as a sentence; None if they do."""
        return None

    def compute(self, columns: Columns) -> Floats32:
        """The features, float32 (n, len(names())), from columns of n rows each.

        Timestamps come as milliseconds. NaN stands for "no value"; an infinite result makes the row a dead letter.
        """
        raise NotImplementedError

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)}
