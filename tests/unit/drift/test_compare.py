"""The core that compares frames: what it leaves out, and what it waits for."""

from collections.abc import Sequence

import numpy as np

from freshet.avro.control import encode
from freshet.contracts.messages import Alarm
from freshet.contracts.topic_table import TopicNames
from freshet.drift.core.compare import CompareLogic
from freshet.drift.service import COMPARE
from freshet.profiles.bin_edges import answer_names, fixed
from freshet.profiles.frame_records import PlacedFrame
from freshet.runtime.data_loop import DataLoop
from freshet.testing import MemoryPipeline
from support.frames import ProfileLog
from support.inference import CLASSES, PIPELINE, model, specification

WINDOWS = 40


class Comparing(MemoryPipeline):
    """The profiles of answers, and what is known beside them."""

    def __init__(self) -> None:
        names = TopicNames("", PIPELINE)
        super().__init__(COMPARE.name, partitions=1, references=COMPARE.clues, names=names, batch_rows=5000)
        self.tell("pipelines", f"{PIPELINE}/1", specification())
        self.tell("models", f"{PIPELINE}/1.0.0", model("1.0.0"))

    def feed(self, frames: Sequence[PlacedFrame]) -> None:
        """Append these."""
        self.send("profiles", [b"k"] * len(frames), [encode(one.frame) for one in frames])

    def worker(self) -> DataLoop:
        """A new process."""
        return self.loop(CompareLogic(PIPELINE))

    def alarms(self) -> list[str]:
        """Their ids."""
        return [alarm.id for alarm in self.messages("alarms", Alarm)]


def frames(*, shift: float = 0.0) -> list[PlacedFrame]:
    """Answers whose scores move in the middle, if they do."""
    log, chance = ProfileLog(), np.random.default_rng(1)
    scores = chance.beta(2, 2, WINDOWS * 1024)
    scores[len(scores) // 2 :] *= 1 - shift
    log.answers(scores)
    names = answer_names(CLASSES)
    ours = {"pipeline": PIPELINE, "names": names, "edges": fixed(names, len(CLASSES)).id}
    return [one._replace(frame=one.frame.model_copy(update=ours)) for one in log.frames]


def test_frames_of_a_version_that_never_was_are_left_out() -> None:
    """A stranger's predictions are counted as answers, and say nothing of ours: comparison goes on without them."""
    made, sound = Comparing(), frames(shift=0.5)
    strange = [
        one._replace(frame=one.frame.model_copy(update={"versions": ("no version",)})) if at in {3, 25} else one
        for at, one in enumerate(sound)
    ]
    made.feed(strange)
    loop = made.worker()
    made.turn(loop, times=40)
    assert loop.unready() is None
    assert loop.logic.measured() == {"unknown_models": 1}
    assert isinstance(loop.logic, CompareLogic)
    assert loop.logic.state is not None
    assert loop.logic.state.series["answers"].row == (WINDOWS - 2) * 1024
    assert loop.logic.state.versions == ("1.0.0",)
    assert made.alarms(), "the change is seen all the same"
