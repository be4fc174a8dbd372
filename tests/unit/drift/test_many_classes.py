"""Pipelines of very many classes have profiles, too, and what an older release counted of them can still be read."""

from collections.abc import Mapping, Sequence

import numpy as np

from freshet.avro import Column, Ragged, Strings
from freshet.avro.control import encode
from freshet.contracts.logic import Fact
from freshet.contracts.profile_messages import Frame
from freshet.contracts.topic_id import to_bytes
from freshet.contracts.topic_table import TopicNames
from freshet.detectors.input_series import Series
from freshet.drift.core.profile.profile_logic import ProfileLogic
from freshet.drift.service import PROFILE
from freshet.operate.verify.drift.profiled import judge_profiles
from freshet.pipeline.watched_inputs import WatchedInputs
from freshet.profiles.bin_edges import all_answer_names, answer_names, fixed
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_making import GroupedRows, content
from freshet.profiles.frame_records import PlacedFrame
from freshet.runtime.bus.protocol import Committed
from freshet.testing.memory_pipeline import MemoryPipeline
from support.join_world import PIPELINE, pipeline_record, prediction_columns
from support.profile_world import ProfileWorld, encoder

CLASSES = tuple(f"c{at}" for at in range(300))
TARGET = f"{{classes: [{', '.join(CLASSES)}]}}"
HOUR_MS = 3_600_000


def stage() -> tuple[MemoryPipeline, ProfileWorld]:
    """A pipeline of these classes in memory."""
    names = TopicNames("", PIPELINE)
    pipeline = MemoryPipeline(PROFILE.name, partitions=1, references=PROFILE.clues, names=names, batch_rows=5000)
    return pipeline, ProfileWorld(pipeline.bus, 1, target=TARGET)


def predictions(pipeline: MemoryPipeline, count: int) -> list[bytes]:
    """Sound ones: of each class in turn."""
    scores = np.full((count, len(CLASSES)), 0.1 / (len(CLASSES) - 1), np.float32)
    answers = np.arange(count) % len(CLASSES)
    scores[np.arange(count), answers] = 0.9
    columns = prediction_columns(
        [f"e{at}" for at in range(count)], [0] * count, to_bytes(pipeline.bus.topic_id("features"))
    )
    mine: dict[str, Column] = {
        "scores": Ragged.from_matrix(scores),
        "label": Strings.from_list([CLASSES[at] for at in answers.tolist()]),
    }
    return list(encoder("Prediction").encode(columns | mine))


def test_frames_of_hundreds_of_classes_fit_and_no_prediction_is_set_aside() -> None:
    """They count how often each class is answered, and how surely: one frame takes kilobytes, not megabytes."""
    pipeline, world = stage()
    pipeline.send("predictions", [b"card"] * 1000, predictions(pipeline, 1000))
    pipeline.pass_time(HOUR_MS)
    pipeline.send("predictions", [b"card"], predictions(pipeline, 1))
    pipeline.turn(pipeline.loop(ProfileLogic(PIPELINE)), times=40)
    frames = world.frames()
    assert sum(frame.rows for frame in frames) == 1000
    assert {frame.names for frame in frames} == {("answer", "confidence")}
    assert max(len(encode(frame)) for frame in frames) < 20_000
    counted = FrameContent.added([FrameContent.of(frame) for frame in frames])
    assert (counted.histogram[0].min(), counted.histogram[0].max()) == (3, 4)

    def committed(service: str, role: str) -> Mapping[int, Committed]:
        return {}

    judged = judge_profiles(pipeline.bus, PIPELINE, committed)
    assert [(one.check, one.breaches, one.looked_at > 0) for one in judged.findings] == [
        ("frames count the rows that they name (a sample)", 0, True)
    ]


def frame(names: tuple[str, ...], at: int) -> PlacedFrame:
    """A frame of answers, counted by these columns."""
    edges = fixed(names, len(CLASSES))
    rows = GroupedRows(
        np.arange(64), np.full((64, len(names)), 0.5, np.float32), np.zeros(64, np.int64), ("1.0.0",), (1,)
    )
    made = Frame(
        pipeline=PIPELINE,
        kind="answers",
        partition=0,
        number=1,
        topic="t",
        from_offset=64 * at,
        to_offset=64 * at + 64,
        first_ms=at,
        last_ms=at,
        refused=0,
        unusual=(),
        state_from={},
        **content(names, rows, edges).fields(),
    )
    return PlacedFrame(at, at, made)


def test_frames_of_an_older_release_are_read_and_those_of_this_one_take_their_place() -> None:
    """The older release counted all scores. Comparison begins anew with the first frame that does not, and goes on."""
    every, few = all_answer_names(CLASSES), answer_names(CLASSES)
    facts = WatchedInputs(PIPELINE)
    record = pipeline_record("{horizon: 1h}", target=TARGET)
    facts.fold(Fact("pipelines", f"{PIPELINE}/1", record))
    shapes: Sequence[tuple[str, ...]] = (every, every, few, every, few, few)
    series, counted = Series("answers"), list[int]()
    for at, names in enumerate(shapes):
        placed = frame(names, at)
        assert placed.frame.edges in facts.edges, "the comparison would wait for its edges"
        series, _ = series.then(placed, rows=10_000, windows=5, edges=facts.edges.get)
        assert series.open is not None
        counted.append(series.open.content.rows)
    assert counted == [64, 128, 64, 64, 128, 192]
    assert series.names == few
