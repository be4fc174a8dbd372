"""What drift costs without Kafka: CPU of a row in join, evaluate and detect; restoring the join; bytes of state a day.

Arguments: how many open predictions to restore the join with (100000 1000000). Ten million take some minutes.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from freshet.avro import Column, Encoder, Ragged, Strings
from freshet.avro.control import decode, encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.batch import Batch
from freshet.contracts.follower import Follower
from freshet.contracts.logic import Announce, Fact, Hold, Lookup
from freshet.contracts.messages import Outcomes, PipelineRecord
from freshet.contracts.stateful import Checkpoint
from freshet.contracts.topic_id import UNKNOWN_BYTES
from freshet.drift.core.detect import DetectLogic
from freshet.drift.core.evaluate import EvaluateLogic
from freshet.drift.core.join import slab
from freshet.drift.core.join.join_state import LABELS, PREDICTIONS
from freshet.drift.core.join.logic import JoinLogic
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload
from freshet.runtime.memory_use import keep_freed_memory, resident_bytes
from support.inference import model
from support.join_rows_made import labels_of, predictions_at
from support.join_world import common_columns, label_columns, prediction_columns
from support.outcomes import minutes_of

PIPELINE = "bench"
ROWS, ROUNDS = 5_000, 24
EVENTS_PER_S = 1_000
DAY_EVENTS = EVENTS_PER_S * 86_400
OPEN = 1_100_000
"""Predictions without a label that the join holds while it is measured."""
SLAB = JoinLogic.kept.rows
NAMES = {"version": ["1.0.0"], "topic": ["t"]}
CONSUMING = "consuming"
"""Taking the client's records apart. Here they are made in Python; those of a real client take about as long."""
_START_MS = 1_750_000_000_000
_SPEC = f"""
pipeline: {PIPELINE}
entity: card
event_id: event_id
event_time: at
features: {{version: 1, columns: [{", ".join(f"{{kind: field, of: x{index}}}" for index in range(8))}]}}
target: {{classes: [ok, bad]}}
label: {{horizon: 7d}}
slices: [{{name: low, feature: x0, below: 0}}, {{name: high, feature: x1, min: 1}}]
"""


@dataclass
class Spent:
    """CPU by what it went to."""

    by_part: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Count what is done inside."""
        began_s = time.process_time()
        yield
        self.by_part[part] = self.by_part.get(part, 0.0) + time.process_time() - began_s

    def told(self, rows: int) -> str:
        """In µs of a row: all, and each part."""
        parts = ", ".join(f"{part} {1e6 * spent_s / rows:.2f}" for part, spent_s in self.by_part.items())
        return f"{1e6 * sum(self.by_part.values()) / rows:.2f} ({parts})"


def facts() -> Iterable[Fact]:
    """The pipeline, and the version that answers."""
    record = PipelineRecord(pipeline=PIPELINE, number=1, spec=_SPEC, event_schema="{}", event_schema_id=1)
    yield Fact("pipelines", f"{PIPELINE}/1", record)
    admitted = model("1.0.0")
    promised = admitted.manifest.model_copy(update={"metrics": {"accuracy": 0.5}})
    yield Fact("models", f"{PIPELINE}/1.0.0", admitted.model_copy(update={"manifest": promised}))


def joining() -> JoinLogic:
    """A worker with one empty partition."""
    logic = JoinLogic(PIPELINE, most_bytes=1 << 40)
    for fact in facts():
        logic.fold(fact)
    for role in ("features", PREDICTIONS, LABELS):
        logic.on_topic(role, "t")
    logic.begin(0)
    return logic


def encoded(role: str, record: str, columns: dict[str, Column], first: int, at_ms: int) -> Batch:
    """Records of partition 0 as the loop hands them over."""
    place, framed = At(role, 0), Encoder(current_schema(record), schema_id(record)).encode(columns)
    return Batch(role, [MemoryRecord(place, first + n, at_ms, Payload(b"k", value)) for n, value in enumerate(framed)])


def inputs(number: int) -> tuple[Batch, Batch, Batch]:
    """Predictions, a label for each, and their feature vectors."""
    ids = [f"event-{row:09d}" for row in range(number * ROWS, (number + 1) * ROWS)]
    first, at_ms = number * ROWS, _START_MS + 3_600_000 + 5_000 * number
    asked = prediction_columns(ids, list(range(first, first + ROWS)), UNKNOWN_BYTES)
    asked["version"] = Strings.repeat("1.0.0", ROWS)
    told = label_columns([(name, 0, ("ok", "bad")[row % 3 // 2]) for row, name in enumerate(ids)])
    values = np.random.default_rng(number).normal(size=(ROWS, 8)).astype(np.float32)
    vectors = common_columns(ids) | {
        "spec_version": np.ones(ROWS, np.int32),
        "values": Ragged.from_matrix(values),
    }
    return (
        encoded(PREDICTIONS, "Prediction", asked, OPEN + first, at_ms),
        encoded(LABELS, "Label", told, first, at_ms + 1_000),
        encoded("features", "FeatureVector", vectors, first, at_ms),
    )


def join() -> tuple[Spent, list[bytes]]:
    """Predictions and labels in turn beside others that are open; also the records of the labelled log."""
    logic, spent, written = joining(), Spent(), list[bytes]()
    for role, body in prediction_slabs(OPEN):
        logic.load_rows(role, 0, body)
    for number in range(ROUNDS):
        predictions, labels, features = inputs(number)
        with spent.on(CONSUMING):
            for batch in (predictions, labels, features):
                assert batch.partitions.size == batch.offsets.size == batch.timestamps_ms.size == len(batch.values)
        with spent.on("predictions"):
            list(logic.on_batch(predictions))
        with spent.on("labels"):
            (lookup,) = [effect for effect in logic.on_batch(labels) if isinstance(effect, Lookup)]
        with spent.on("labelled log"):
            said = [effect.message for effect in lookup.then(features) if isinstance(effect, Announce)]
            written += [encode(message) for message in said if message]
        with spent.on("slabs"):
            for role, begin in ((PREDICTIONS, OPEN + number * ROWS), (LABELS, number * ROWS)):
                for at in range(begin, begin + ROWS, SLAB):
                    logic.dump_rows(role, 0, at, min(at + SLAB, begin + ROWS))
        with spent.on("commit"):
            logic.committed(0)
    assert logic.measured()["open_prediction_records"] == OPEN
    return spent, written


def follow(logic: Follower[Any], log: Sequence[bytes]) -> tuple[float, int]:
    """CPU of all these records of the labelled log, and bytes of a checkpoint behind them."""
    for fact in facts():
        logic.fold(fact)
    place, most = At("outcomes", 0), logic.limits.rows or len(log)
    records = [MemoryRecord(place, n, _START_MS + 5_000 * n, Payload(b"0", value)) for n, value in enumerate(log)]
    batches = [Batch("outcomes", records[at : at + most]) for at in range(0, len(records), most)]
    logic.begin(0)
    began_s = time.process_time()
    for batch in batches:
        effects = list(logic.on_batch(batch))
        assert not any(isinstance(effect, Hold) for effect in effects), effects
        logic.committed(0)
    return time.process_time() - began_s, len(logic.dump(0))


def checkpoints_a_day(kept: Checkpoint, records: Sequence[bytes]) -> float:
    """How many are written at 1,000 events/s, if the labelled log has such records."""
    a_day = DAY_EVENTS * len(records) / (ROWS * ROUNDS)
    return a_day * max(1 / kept.rows, float(np.mean([len(value) for value in records])) / kept.input_bytes)


def cut(log: Sequence[bytes], rows: int) -> list[bytes]:
    """The same rows in records of at most so many, each of which says what minutes its rows are of."""
    found, first = list[bytes](), 0
    for value in log:
        record = decode("outcomes", value)
        assert isinstance(record, Outcomes)
        whole = OutcomeRows.of(record)
        for at in range(0, record.rows, rows):
            part = whole.take(np.arange(at, min(at + rows, record.rows)))
            more = {"first_row": first, "rows": len(part), "minutes": minutes_of(part), **part.columns()}
            found.append(encode(record.model_copy(update=more)))
            first += len(part)
    return found


def prediction_slabs(count: int) -> Iterator[tuple[str, bytes]]:
    """So many predictions in order, 1,000 a second."""
    for first in range(0, count, SLAB):
        rows = predictions_at(first, min(first + SLAB, count), start_ms=_START_MS, events_per_s=EVENTS_PER_S)
        yield PREDICTIONS, slab.encode(rows, NAMES)


def slabs(count: int) -> Iterator[tuple[str, bytes]]:
    """So many predictions, then a label for every second one."""
    yield from prediction_slabs(count)
    for first in range(0, count // 2, SLAB):
        end = min(first + SLAB, count // 2)
        asked = predictions_at(2 * first, 2 * end, start_ms=_START_MS, events_per_s=EVENTS_PER_S)[::2]
        yield LABELS, slab.encode(labels_of(asked, (first, end), delay_ms=3_600_000), {})


def restore(count: int) -> str:
    """What it takes to read these slabs into an empty state."""
    logic, spent, sizes = joining(), Spent(), {PREDICTIONS: 0, LABELS: 0}
    before = resident_bytes()
    for role, body in slabs(count):
        with spent.on(role):
            logic.load_rows(role, 0, body)
        sizes[role] += len(body)
    held, read, spent_s = logic.measured()["state_bytes"], sum(sizes.values()), sum(spent.by_part.values())
    return (
        f"restore {count:,} predictions and {count // 2:,} labels: {spent_s:.2f} s of CPU, {read / 1e6:,.0f} MB of "
        f"slabs read, {held / 1e6:,.0f} MB held ({held / count:.0f} B a prediction), the process grew by "
        f"{(resident_bytes() - before) / 1e6:,.0f} MB"
    )


def main() -> None:
    """Print all of it."""
    keep_freed_memory()
    spent, log = join()
    state = {
        role: np.mean([len(body) for of, body in slabs(100_000) if of == role]) / SLAB for role in (PREDICTIONS, LABELS)
    }
    print(f"join, 5,000 + 5,000, beside {OPEN:,} open: {spent.told(2 * ROWS * ROUNDS)} µs a record")  # noqa: T201
    print(  # noqa: T201
        f"join: {state[PREDICTIONS]:.1f} B of state a prediction, {state[LABELS]:.1f} a label: "
        f"{sum(state.values()) * DAY_EVENTS / 1e9:.1f} GB a day at 1,000 events/s, before compression"
    )
    followers = (EvaluateLogic, DetectLogic)
    for rows in (25, 250, 2_500):
        records = cut(log, rows)
        for kind in followers:
            spent_s, kept = follow(kind(PIPELINE), records)
            a_day = kept * checkpoints_a_day(kind.kept, records)
            print(  # noqa: T201
                f"{kind.__name__}, {rows:,} rows a record: {1e6 * spent_s / (ROWS * ROUNDS):.2f} µs a row, "
                f"{1e6 * spent_s / len(records):,.0f} a record; a checkpoint of {kept:,} B, "
                f"{a_day / 1e9:.2f} GB a day at 1,000 events/s"
            )
    for count in [int(argument) for argument in sys.argv[1:]] or [100_000, 1_000_000]:
        print(restore(count))  # noqa: T201


if __name__ == "__main__":
    main()
