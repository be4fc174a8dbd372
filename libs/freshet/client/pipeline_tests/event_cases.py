"""Sample events through ingestion's core, as the service would take them in: no broker, no threads, no clock."""

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from freshet.avro import DecodeReason, Ragged
from freshet.avro.event_fields import event_fields
from freshet.avro.framed import FramedReader
from freshet.avro.own_schemas import Schema
from freshet.client.client_errors import RowError
from freshet.client.pipeline_tests.case_files import EventCase
from freshet.client.pipeline_tests.failures import Failure
from freshet.client.python_rows import event_columns
from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter, Fact, Hold, Publish
from freshet.ingestion.core.logic import IngestionLogic
from freshet.operate.event_values import event_encoder
from freshet.pipeline import PipelineSpec
from freshet.pipeline.record import next_record
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload

SOME_TIME_MS: Final = 1_767_225_600_000
"""2026-01-01: when an event without a time happens."""
_TOLERANCE: Final = 1e-6
"""Relative: features are float32."""


class EventTester:
    """Ingestion of one pipeline, ready to be given events."""

    def __init__(self, spec: PipelineSpec, text: str, schema: Schema) -> None:
        """`text` is pipeline.yaml as it stands. Raises PipelineError if this cannot run."""
        record = next_record(None, spec, text, schema)
        self._spec, self._schema = spec, schema
        self._ticks_per_ms = event_fields(schema)[spec.event_time].ticks_per_ms
        self._schema_id = record.event_schema_id
        self._logic = IngestionLogic(spec.pipeline)
        self._logic.fold(Fact("pipelines", f"{spec.pipeline}/1", record))
        self._vectors = FramedReader.of("FeatureVector", max_bytes=1 << 22)

    def features_of(self, value: bytes, arrived_ms: int) -> dict[str, float] | tuple[str, str]:
        """The features of a record that the broker got at that time, or reason and sentence of its dead letter."""
        record = MemoryRecord(At("events", 0), 0, arrived_ms, Payload(b"", value, None))
        (effect,) = self._logic.on_batch(Batch("events", [record]))
        if isinstance(effect, Publish):
            values = self._vectors.read(list(effect.values)).columns["values"]
            assert isinstance(values, Ragged)
            return dict(zip(self._spec.feature_names, values.flat.tolist(), strict=True))
        if isinstance(effect, DeadLetter):
            return effect.reason, effect.details[0]
        assert isinstance(effect, Hold)  # the service waits a minute for a schema id, and then sets the event aside
        return DecodeReason.UNKNOWN_SCHEMA, effect.reason

    def record(self, event: dict[str, Any]) -> tuple[bytes, int]:
        """An event as a producer writes it, and its own time in milliseconds.

        Raises RowError if it is none, ContractError where only a decoder of the user's own knows what is written.
        """
        encode = event_encoder(self._spec, self._schema, self._schema_id)
        columns = event_columns(
            [event], self._spec, self._schema, now_ms=SOME_TIME_MS, new_id=lambda: "00000000-test-event"
        )
        return encode(columns)[0], int(columns[self._spec.event_time][0]) // self._ticks_per_ms


def failures(tester: EventTester, cases: Sequence[EventCase], where: str) -> Iterator[Failure]:
    """What does not become of events what must; `where` is the file."""
    for case in cases:
        for what, advice in _problems(tester, case):
            yield Failure(f"{where}: {case.name}", what, advice)


def _problems(tester: EventTester, case: EventCase) -> Iterator[tuple[str, str]]:
    try:
        value, time_ms = (case.value.encode(), SOME_TIME_MS) if case.value is not None else tester.record(case.event)
    except RowError as error:
        yield f"it is no event: {error}", "Mend it; give `value` for bytes that no serializer writes."
        return
    found = tester.features_of(value, time_ms if case.arrived_at is None else _milliseconds(case.arrived_at))
    if isinstance(found, tuple):
        yield from _of_letter(case, *found)
    elif case.dead_letter:
        shown = json.dumps(found)
        yield (
            f"it became features, {shown}, not the dead letter {case.dead_letter}",
            "Look at `rules` in pipeline.yaml.",
        )
    else:
        yield from _of_features(case, found)


def _of_letter(case: EventCase, reason: str, detail: str) -> Iterator[tuple[str, str]]:
    if not case.dead_letter:
        yield f"it became the dead letter {reason}: {detail}", "Mend the event, or the rule that refuses it."
    elif case.dead_letter != reason:
        yield (
            f"it became the dead letter {reason}, not {case.dead_letter}: {detail}",
            "The first rule that fails names the reason.",
        )
    elif case.because not in detail:
        yield f"its dead letter does not say {case.because!r}: {detail}", "Is it another field that is refused?"


def _of_features(case: EventCase, found: dict[str, float]) -> Iterator[tuple[str, str]]:
    for name, wanted in (case.features or {}).items():
        if name not in found:
            yield f"there is no feature {name!r}", f"Features are {', '.join(found)}."
        elif not _alike(found[name], wanted):
            yield (
                f"feature {name!r} is {_shown(found[name])}, not {_shown(wanted)}",
                "If the new value is meant, give the feature a new name: models read the old meaning.",
            )


def _milliseconds(at: datetime) -> int:
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _alike(found: float, wanted: float | None) -> bool:
    if wanted is None or math.isnan(found):
        return wanted is None and math.isnan(found)
    return math.isclose(found, wanted, rel_tol=_TOLERANCE, abs_tol=1e-12)


def _shown(value: float | None) -> str:
    return "without a value" if value is None or math.isnan(value) else f"{value:.9g}"
