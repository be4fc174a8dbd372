"""How much of a core inference costs per event, Kafka left out: make bench-parts"""

import numpy as np

from bench.timing import us_per_event
from freshet.avro import Encoder, Ragged, Strings
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Fact, Outcome, Start
from freshet.contracts.messages import ModelVersion, PipelineRecord, Rollout, Share
from freshet.contracts.topic_id import UNKNOWN_BYTES
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.core.model_jobs import Loaded, LoadModel
from freshet.models.scorer import Scorer
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload
from freshet.runtime.memory_use import keep_freed_memory
from support.inference_models import softmax_manifest, softmax_model

ROWS, REPEATS, PARTITIONS = 5000, 60, 6
NOW_MS = 1_750_000_000_000
NAMES = [f"x{index}" for index in range(8)]
CLASSES = ("legit", "fraud")
SPEC = f"""
pipeline: bench
entity: card
event_id: event_id
event_time: at
features: {{version: 1, columns: [{", ".join(f"{{kind: field, of: {name}}}" for name in NAMES)}]}}
target: {{classes: [legit, fraud]}}
"""


def values(rows: int) -> list[bytes]:
    """Framed feature vectors as ingestion writes them."""
    draw = np.random.default_rng(1)
    return Encoder(current_schema("FeatureVector"), schema_id("FeatureVector")).encode(
        {
            "event_id": Strings.from_list([f"event-{row:09d}" for row in range(rows)]),
            "entity": Strings.from_list([f"card-{number}" for number in draw.integers(0, 10_000, rows)]),
            "event_time": np.full(rows, NOW_MS),
            "spec_version": np.ones(rows, np.int32),
            "values": Ragged.from_matrix(draw.normal(size=(rows, len(NAMES))).astype(np.float32)),
            "source_partition": np.zeros(rows, np.int32),
            "source_offset": np.arange(rows),
            "source_topic": Strings.repeat(UNKNOWN_BYTES, rows),
        }
    )


def serving() -> InferenceLogic:
    """A logic with a logistic regression of eight features in service."""
    weights = np.random.default_rng(2).normal(size=(len(NAMES), len(CLASSES))).astype(np.float32)
    data = softmax_model(weights)
    manifest = softmax_manifest(data, weights, NAMES, CLASSES, "bench")
    logic = InferenceLogic("bench", "w1", topic_id="A" * 22)
    record = PipelineRecord(pipeline="bench", number=1, spec=SPEC, event_schema="{}", event_schema_id=1)
    version = ModelVersion(pipeline="bench", version="1.0.0", state="admitted", reason="", manifest=manifest)
    table = (Share(version="1.0.0", share=10_000),)
    rollout = Rollout(pipeline="bench", epoch=1, phase="live", table=table, salt="s", cause="bench")
    for message in (record, version, rollout):
        logic.fold(Fact("", "", message))
    for effect in logic.on_tick(0):
        if isinstance(effect, Start) and isinstance(effect.job, LoadModel):
            logic.on_job(Outcome(effect.job, result=Loaded(Scorer.load(data, manifest), 0, 0)))
    for partition in range(PARTITIONS):
        logic.on_assign("features", partition, "e=1 f=0")
    return logic


def fresh_batches(framed: list[bytes]) -> list[Batch]:
    """Batches whose columns have yet to be made, as the loop hands them over."""
    places = [At("bench.features", partition) for partition in range(PARTITIONS)]
    records = [
        MemoryRecord(places[row * PARTITIONS // len(framed)], row, NOW_MS, Payload(b"k", value))
        for row, value in enumerate(framed)
    ]
    return [Batch("features", records) for _ in range(REPEATS)]


def take_apart(batch: Batch) -> object:
    """The columns that the logic asks a batch for."""
    return batch.values, batch.keys, batch.partitions, batch.offsets


def main() -> None:
    """Print µs per event, for the whole and for making the columns that every logic pays for."""
    keep_freed_memory()
    logic = serving()
    for rows in (50, 500, ROWS):
        framed = values(rows)
        whole = us_per_event(logic.on_batch, fresh_batches(framed))
        columns = us_per_event(take_apart, fresh_batches(framed))
        print(f"{rows:5d} rows: {whole:.2f} µs per event, of which {columns:.2f} to take records apart")  # noqa: T201


if __name__ == "__main__":
    main()
