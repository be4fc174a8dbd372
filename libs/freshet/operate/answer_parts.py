"""What each feature contributed to an answer: from its feature vector and the bytes of the model, as the topics hold
them.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from freshet.avro import Ragged
from freshet.avro.framed import FramedReader
from freshet.contracts.arrays import Floats32
from freshet.contracts.errors import FreshetError
from freshet.contracts.messages import ModelVersion
from freshet.models.input_columns import FeatureSpace
from freshet.runtime.artifacts import fetch_model
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.lookups import Lookups

if TYPE_CHECKING:  # it needs onnx, which not everybody has
    from freshet.models.contributions import Contributions

_MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class AnswerParts:
    """What the model read, and what each of that contributed; or why that cannot be told."""

    values: dict[str, float]
    """The model's inputs; empty if the feature vector is not retained."""
    contributions: "Contributions | None"
    why_not: str = ""


def answer_parts(
    bus: Bus, prediction: dict[str, Any], model: ModelVersion | None, names: tuple[str, ...]
) -> AnswerParts:
    """Of one prediction, a record as `predictions_of` gives it, of the pipeline with these features.

    `bus` is one of the pipeline. Raises RetriableError.
    """
    if model is None:
        return AnswerParts({}, None, "no record of the version that answered is retained.")
    answer, inputs = prediction["value"], FeatureSpace(names).inputs_of(model.manifest)
    vector = _vector(bus, answer)
    if vector is None or inputs is None:
        return AnswerParts({}, None, "the feature vector of this event is not retained any more.")
    row = inputs.select(vector).matrix[0]
    values = dict(zip(model.manifest.inputs, row.tolist(), strict=True))
    try:
        return AnswerParts(values, _contributions(bus, model, row, np.array(answer["scores"], np.float32)))
    except ModuleNotFoundError as error:
        return AnswerParts(
            values, None, f"this needs {error.name}, which is not installed: pip install 'freshet[registry]'."
        )
    except FreshetError as error:
        return AnswerParts(values, None, getattr(error, "detail", str(error)))


def _contributions(bus: Bus, model: ModelVersion, row: Floats32, scores: Floats32) -> "Contributions":
    from freshet.models.contributions import contributions  # noqa: PLC0415  (it needs onnx)

    with closing(fetch_model(model.manifest, model.chunk_offsets, bus)) as assembly:
        return contributions(assembly.bytes(), model.manifest, row, scores)


def _vector(bus: Bus, answer: dict[str, Any]) -> Ragged | None:
    """The feature vector that an answer names; None where it is gone, or its topic was made anew."""
    if answer["features_topic"] != bus.topic_id("features"):
        return None
    place, lookups = Place("features", answer["features_partition"]), Lookups(bus, ["features"])
    with closing(lookups):
        found = lookups.find(place, np.array([answer["features_offset"]]))
    if not len(found.records):
        return None
    rows = FramedReader.of("FeatureVector", max_bytes=_MAX_BYTES).read(found.values)
    values = rows.columns["values"]
    return values if isinstance(values, Ragged) and len(values) else None
