"""`freshet verify` on profiles: what is right passes, and each kind of wrong is named."""

from collections.abc import Mapping
from random import Random

import numpy as np
import pytest

from freshet.avro.control import encode
from freshet.contracts.profile_messages import Frame
from freshet.contracts.topic_table import TopicNames
from freshet.drift.core.compare import CompareLogic
from freshet.drift.core.profile.profile_logic import ProfileLogic
from freshet.drift.service import COMPARE, PROFILE
from freshet.operate.alarm_log import agreement, replay, told
from freshet.operate.verify.drift.profiled import ProfileJudgement, judge_profiles
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Committed
from freshet.testing.memory_pipeline import MemoryPipeline
from support.inference import model
from support.join_world import PIPELINE
from support.profile_world import ProfileWorld, feature_vector, prediction

NAMES = TopicNames("", PIPELINE)


class Stage:
    """A pipeline in memory with features and predictions, whose profiles were made and compared."""

    def __init__(self) -> None:
        self.pipeline = MemoryPipeline(
            PROFILE.name, partitions=1, references=PROFILE.clues, names=NAMES, batch_rows=5000
        )
        self.world = ProfileWorld(self.pipeline.bus, 1)
        self.pipeline.send("profiles", [b"k"], [None])  # a stranger's: the first frame is not at offset 0
        self.pipeline.tell("models", f"{PIPELINE}/1.0.0", model("1.0.0"))
        chance, rows = Random(1), 16_000
        values = np.random.default_rng(1).normal(size=(rows, 2))
        values[12_000:, 0] += 2.0
        self.pipeline.send("features", [b"card"] * rows, [feature_vector(tuple(row)) for row in values.tolist()])
        answers = [prediction(self.pipeline.bus, chance.random()) for _ in range(3000)]
        self.pipeline.send("predictions", [b"card"] * 3001, [b"rubbish", *answers])
        self.pipeline.turn(self.pipeline.loop(ProfileLogic(PIPELINE)), times=60)
        self.beside = MemoryPipeline(
            COMPARE.name, partitions=1, references=COMPARE.clues, names=NAMES, batch_rows=5000, beside=self.pipeline
        )
        self.beside.turn(self.beside.loop(CompareLogic(PIPELINE)), times=30)

    def judged(self) -> ProfileJudgement:
        """What verify says."""

        def committed(service: str, role: str) -> Mapping[int, Committed]:
            at = self.beside.group.committed(At(NAMES.topic(role), 0)) if service == COMPARE.name else None
            return {} if at is None else {0: at}

        return judge_profiles(self.pipeline.bus, PIPELINE, committed)

    def broken(self) -> list[str]:
        """The checks that fail."""
        return [one.check for one in self.judged().findings if not one.ok]


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Made once: nothing that a test appends is taken away, so what is wrong adds up in their order."""
    return Stage()


def test_what_is_right_passes(stage: Stage) -> None:
    """Alarms come again, frames count their rows, and what a stranger wrote is counted as refused."""
    found = stage.judged()
    assert len(told(stage.pipeline.bus, PIPELINE)) >= 2
    assert [(one.check, one.breaches) for one in found.findings] == [
        ("no input alarm is lost", 0),
        ("input alarms follow from the profiles", 0),
        ("frames count the rows that they name (a sample)", 0),
    ]
    assert min(one.looked_at for one in found.findings) >= 2
    assert found.unjudged == []
    done = replay(stage.pipeline.bus, PIPELINE)
    assert (len(agreement(told(stage.pipeline.bus, PIPELINE), done.alarms).same), done.first_offset) == (
        len(told(stage.pipeline.bus, PIPELINE)),
        0,
    )
    assert sum(frame.refused for frame in stage.world.frames()) == 1


def test_an_alarm_that_no_profile_gives_is_named(stage: Stage) -> None:
    """Somebody wrote it, or changed it."""
    alarm = told(stage.pipeline.bus, PIPELINE)[0]
    stage.pipeline.tell("alarms", PIPELINE, alarm.model_copy(update={"id": "f" * 32}))
    assert stage.broken() == ["input alarms follow from the profiles"]


def test_a_frame_that_counts_otherwise_is_named(stage: Stage) -> None:
    """One more value in a bin than its rows have."""
    frames = stage.world.frames()
    last = [frame for frame in frames if frame.kind == "answers"][-1]
    bins = np.frombuffer(last.bins, "<i4").copy()
    bins[-1] += 1
    wrong = last.model_copy(update={"bins": bins.tobytes(), "from_offset": last.to_offset, "to_offset": 3001})
    assert isinstance(wrong, Frame)
    stage.pipeline.send("profiles", [b"k"], [encode(wrong)])
    assert "frames count the rows that they name (a sample)" in stage.broken()
