"""What profiles cost without Kafka: CPU of a row of features and of a prediction, and of each detector of inputs."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from bench.bench_drift import PIPELINE, ROWS, encoded
from freshet.avro import Ragged
from freshet.avro.control import decode, encode
from freshet.contracts.logic import Announce, Fact
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.profile_messages import Edges, Frame
from freshet.detectors.input_watch import InputWatch, InputWatchState
from freshet.drift.core.profile.profile_logic import ProfileLogic
from freshet.pipeline.catalogue import input_detectors
from freshet.pipeline.profile_section import ProfileSpec
from freshet.pipeline.watched_inputs import WatchedInputs
from freshet.profiles.frame_records import PlacedFrame
from support.join_world import prediction_columns

ROUNDS = 40
WIDTHS = (8, 33)
_START_MS = 1_750_000_000_000
_SPEC = """
pipeline: {name}
entity: card
event_id: event_id
event_time: at
features: {{version: 1, columns: [{columns}]}}
target: {{classes: [ok, bad]}}
"""


def _pipeline(width: int) -> Sequence[Fact]:
    columns = ", ".join(f"{{kind: field, of: x{index}}}" for index in range(width))
    spec = _SPEC.format(name=PIPELINE, columns=columns)
    record = PipelineRecord(pipeline=PIPELINE, number=1, spec=spec, event_schema="{}", event_schema_id=1)
    return [Fact("pipelines", f"{PIPELINE}/1", record)]


def logic_of(width: int) -> ProfileLogic:
    """A worker with one empty partition."""
    made = ProfileLogic(PIPELINE)
    for fact in _pipeline(width):
        made.fold(fact)
    for role in made.reads:
        made.on_topic(role, "t")
    made.begin(0)
    return made


def profile(width: int) -> tuple[dict[str, float], list[Frame], ProfileLogic, list[Fact]]:
    """CPU by input, the frames, and what else was told."""
    made, spent, frames, told = logic_of(width), dict[str, float](), list[Frame](), list[Fact]()
    for number in range(ROUNDS):
        first, at_ms = number * ROWS, _START_MS + 5_000 * number
        values = np.random.default_rng(number).normal(size=(ROWS, width)).astype(np.float32)
        ids = [f"event-{row:09d}" for row in range(first, first + ROWS)]
        asked = prediction_columns(ids, list(range(ROWS)), bytes(16))
        vectors = {name: column for name, column in asked.items() if name not in _ONLY_PREDICTIONS} | {
            "spec_version": np.ones(ROWS, np.int32),
            "values": Ragged.from_matrix(values),
        }
        for role, record, columns in (("features", "FeatureVector", vectors), ("predictions", "Prediction", asked)):
            batch = encoded(role, record, columns, first, at_ms)
            assert batch.partitions.size == batch.timestamps_ms.size == len(batch.values)
            began_s = time.process_time()
            effects = list(made.on_batch(batch))
            made.committed(0)
            spent[role] = spent.get(role, 0.0) + time.process_time() - began_s
            for effect in effects:
                assert isinstance(effect, Announce), effect
                if isinstance(effect.message, Edges):
                    told.append(Fact("edges", effect.key, effect.message))
                    made.fold(told[-1])
                elif isinstance(effect.message, Frame):
                    frames.append(effect.message)
    return {role: 1e6 * spent_s / (ROWS * ROUNDS) for role, spent_s in spent.items()}, frames, made, told


def us_a_row(work: Callable[[], object]) -> float:
    """CPU of all rows of features, divided."""
    began_s = time.process_time()
    work()
    return 1e6 * (time.process_time() - began_s) / (ROWS * ROUNDS)


def detectors(frames: Sequence[Frame], facts: WatchedInputs) -> dict[str, float]:
    """CPU of a row of features for decoding its frame, and for each detector with the windows that it needs."""
    values = [encode(frame) for frame in frames]
    placed = [PlacedFrame(at, frame.last_ms, frame) for at, frame in enumerate(frames)]

    def watched(*parts: str) -> float:
        spec = ProfileSpec(detectors=tuple(input_detectors().find(kind)() for kind in parts))
        watch = InputWatch(PIPELINE, {1: spec}, facts.edges, dict.fromkeys(_VERSIONS))
        return us_a_row(lambda: watch.fold(InputWatchState(), placed))

    found = {"decoding": us_a_row(lambda: [decode("profiles", value) for value in values]), "windows": watched()}
    return found | {kind: watched(kind) - found["windows"] for kind in input_detectors().kinds()}


def main() -> None:
    """Print all of it."""
    for width in WIDTHS:
        spent, frames, made, told = profile(width)
        facts = WatchedInputs(PIPELINE)
        for fact in told:
            facts.fold(fact)
        for fact in _pipeline(width):
            facts.fold(fact)
        size = np.mean([len(encode(frame)) for frame in frames if frame.kind == "features"])
        parts = ", ".join(f"{role} {us:.2f}" for role, us in spent.items())
        print(f"profile, {width} features, µs a row: {parts}; a frame of features has {size:,.0f} B")  # noqa: T201
        named = ", ".join(f"{name} {us:.2f}" for name, us in detectors(frames, facts).items())
        print(f"compare, {width} features, µs a row: {named}; a checkpoint has {len(made.dump(0)):,} B")  # noqa: T201


_ONLY_PREDICTIONS = frozenset(
    {
        "label",
        "scores",
        "version",
        "epoch",
        "fallback",
        "arm",
        "features_partition",
        "features_offset",
        "features_topic",
    }
)
_VERSIONS = ("1.0.0", "1.0.1", "1.0.2")

if __name__ == "__main__":
    main()
