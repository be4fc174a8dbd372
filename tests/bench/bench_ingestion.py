"""How much of a core ingestion costs per event, Kafka left out: make bench-parts"""

import json

import numpy as np

from bench.timing import us_per_event
from freshet.avro import Column, Encoder, Strings
from freshet.avro.own_schemas import event_schema_id
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Fact
from freshet.contracts.messages import PipelineRecord
from freshet.ingestion.core.logic import IngestionLogic
from freshet.operate.event_values import json_values
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload

ROWS, REPEATS = 5000, 60
NOW_MS = 1_750_000_000_000
NUMBERS = [f"x{index}" for index in range(8)]
SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "card", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        *({"name": name, "type": "double"} for name in NUMBERS),
    ],
}
SPEC = f"""
pipeline: bench
entity: card
event_id: event_id
event_time: at
rules: [{", ".join(f"{{field: {name}, min: -10, max: 10}}" for name in NUMBERS)}]
features: {{version: 1, columns: [{", ".join(f"{{kind: field, of: {name}}}" for name in NUMBERS)}]}}
target: {{classes: [legit, fraud]}}
"""


def columns(rows: int) -> dict[str, Column]:
    """Events of random cards."""
    draw = np.random.default_rng(1)
    return {
        "event_id": Strings.from_list([f"event-{row:09d}" for row in range(rows)]),
        "card": Strings.from_list([f"card-{number}" for number in draw.integers(0, 10_000, rows)]),
        "at": np.full(rows, NOW_MS),
        **{name: draw.normal(size=rows) for name in NUMBERS},
    }


def fresh_batches(framed: list[bytes]) -> list[Batch]:
    """Batches whose columns have yet to be made, as the loop hands them over."""
    at = At("bench.events", 0)
    records = [MemoryRecord(at, row, NOW_MS, Payload(b"k", value)) for row, value in enumerate(framed)]
    return [Batch("events", records) for _ in range(REPEATS)]


def serving(decoder: str) -> IngestionLogic:
    """Ingestion with that decoder, ready."""
    logic = IngestionLogic("bench")
    record = PipelineRecord(
        pipeline="bench",
        number=1,
        spec=f"{SPEC}decoder: {decoder}\n",
        event_schema=json.dumps(SCHEMA),
        event_schema_id=event_schema_id(SCHEMA),
    )
    logic.fold(Fact("pipelines", "bench", record))
    return logic


def main() -> None:
    """Print µs per event, for the whole and for making the columns that every logic pays for."""
    encoders = {"avro": Encoder(SCHEMA, event_schema_id(SCHEMA)).encode, "json": json_values}
    for decoder, encode in encoders.items():
        logic = serving(decoder)
        for rows in (50, 500, ROWS):
            batches = fresh_batches(encode(columns(rows)))
            apart = us_per_event(
                lambda batch: (batch.values, batch.partitions, batch.offsets, batch.timestamps_ms),
                fresh_batches([b""] * rows),
            )
            whole = us_per_event(logic.on_batch, batches)
            print(  # noqa: T201
                f"{decoder}, {rows:5d} rows, 8 numbers: {whole:.2f} µs per event, of which {apart:.2f} to take records "
                "apart"
            )


if __name__ == "__main__":
    main()
