"""The simulated pipeline: its specification, its events, and models that need no inference runtime."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np

from freshet.avro import Column, Encoder, Strings
from freshet.avro.own_schemas import current_schema, event_schema_id, schema_id
from freshet.contracts.arrays import Floats32
from freshet.contracts.messages import PipelineRecord
from freshet.inference.core.model_jobs import Loaded, LoadModel
from freshet.models.model_error import ModelError
from freshet.pipeline import PipelineSpec
from freshet.registry.core.admission_job import Admit
from support.inference import FakeScorer, sound
from support.registry import PIPELINE, Judgement, candidate

PARTITIONS: Final = 2
EVENT_SCHEMA: Final = {
    "type": "record",
    "name": "Payment",
    "namespace": "freshet.simulation",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "card_id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "amount", "type": "double"},
    ],
}
_SPEC: Final = """
pipeline: fraud
entity: card_id
event_id: event_id
event_time: at
features: {version: 1, columns: [{kind: field, of: amount}, {kind: log, of: amount}]}
target: {classes: [legit, fraud]}
rollout: {policy: %s, prepare_timeout: 60s}
"""

Policy = Literal["immediate", "manual"]
Kind = Literal["sound", "broken", "mad", "absent", "refused", "delayed"]
"""What becomes of a candidate: it answers; it raises; it gives NaN; its bytes cannot be had at first; admission refuses
it; admission fails at first."""

CANDIDATES: Final = {f"{kind}-{number}": kind for kind in Kind.__args__ for number in range(3)}  # type: ignore[attr-defined]
REMEDY: Final = candidate("sound-9").manifest.digest
"""Offered only when all trouble is over."""

_KINDS: Final[dict[str, Kind]] = {candidate(name).manifest.digest: kind for name, kind in CANDIDATES.items()} | {
    REMEDY: "sound"
}


@cache
def specification(policy: Policy) -> tuple[PipelineSpec, str]:
    """The specification and its text under that policy."""
    text = _SPEC % policy
    return PipelineSpec.parse(text), text


@cache
def pipeline_record(policy: Policy) -> PipelineRecord:
    """What the first `freshet apply` writes."""
    return PipelineRecord(
        pipeline=PIPELINE,
        number=1,
        spec=specification(policy)[1],
        event_schema=json.dumps(EVENT_SCHEMA),
        event_schema_id=event_schema_id(EVENT_SCHEMA),
    )


@cache
def _encoders() -> tuple[Encoder, Encoder]:
    return (
        Encoder(EVENT_SCHEMA, event_schema_id(EVENT_SCHEMA)),
        Encoder(current_schema("Feedback"), schema_id("Feedback")),
    )


def cards(first: int, count: int) -> list[bytes]:
    """Keys of events and feedback from number `first` on."""
    return [f"card{number % 5}".encode() for number in range(first, first + count)]


def events(first: int, count: int, now_ms: int) -> list[bytes]:
    """Payments from number `first` on."""
    numbers = range(first, first + count)
    columns: dict[str, Column] = {
        "event_id": Strings.from_list([f"e{number}" for number in numbers]),
        "card_id": Strings.from_list([f"card{number % 5}" for number in numbers]),
        "at": np.full(count, now_ms, np.int64),
        "amount": np.arange(first, first + count, dtype=np.float64) % 17,
    }
    return _encoders()[0].encode(columns)


def feedback(first: int, count: int, now_ms: int) -> list[bytes]:
    """What became of payments from number `first` on."""
    numbers = range(first, first + count)
    columns: dict[str, Column] = {
        "event_id": Strings.from_list([f"e{number}" for number in numbers]),
        "entity": Strings.from_list([f"card{number % 5}" for number in numbers]),
        "label": Strings.from_list(["legit"] * count),
        "labelled_at": np.full(count, now_ms, np.int64),
        "revision": np.zeros(count, np.int32),
    }
    return _encoders()[1].encode(columns)


@dataclass
class Minds:
    """What becomes of models in one run. `well` ends all that passes by itself."""

    well: bool = False

    def load(self, job: LoadModel) -> Loaded:
        """What inference's loader gives."""
        kind = _KINDS[job.manifest.digest]
        if kind == "absent" and not self.well:
            raise ModelError("artifact_unreachable", "not now")

        def think(rows: Floats32) -> Floats32:
            if kind == "broken":
                raise ModelError("model_exception", "it always does")
            scores = sound(job.manifest.digest)(rows)
            if kind == "mad":
                scores[rows[:, 0] > 3] = np.nan
            return scores

        return Loaded(FakeScorer(job.manifest, think), load_ms=1, p99_us=1)

    def admit(self, job: Admit) -> Judgement:
        """What the registry's sandbox gives."""
        kind = _KINDS[job.digest]
        if kind == "delayed" and not self.well:
            raise ModelError("sandbox", "no memory for the sandbox")
        return Judgement(admitted=kind != "refused", reason="parity" if kind == "refused" else "")
