"""Profiles keep what every logic with state promises, and each frame follows from its rows alone."""

from random import Random

import pytest

from freshet.contracts.logic import Fact
from freshet.drift.core.profile import open_frame
from freshet.drift.core.profile.profile_logic import ProfileLogic
from freshet.drift.service import PROFILE
from freshet.profiles import frame_making
from freshet.testing.memory_pipeline import MemoryPipeline
from freshet.testing.play import Row, play
from freshet.testing.stateful_checks import StatefulPlay
from support.join_world import PIPELINE, pipeline_record
from support.profile_world import ProfileWorld, feature_vector, prediction

LABEL = "{}"


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows close a frame, and edges are chosen from fewer."""
    monkeypatch.setattr(frame_making, "_ROWS", 8)
    monkeypatch.setattr(frame_making, "_FEWEST_ROWS", 8)
    monkeypatch.setattr(open_frame, "FIRST_ROWS", 4)


def logic() -> ProfileLogic:
    """A profile that knows its pipeline, with or without a loop around it."""
    made = ProfileLogic(PIPELINE)
    made.fold(Fact("pipelines", f"{PIPELINE}/1", pipeline_record(LABEL)))
    return made


@pytest.mark.parametrize("seed", range(10))
def test_state_and_frames_follow_from_the_inputs(seed: int) -> None:
    """Rows of any width and what is none at all, NaN and infinity; commits are refused, workers die, state is lost."""
    worlds: list[ProfileWorld] = []

    def row(chance: Random, role: str) -> Row:
        if chance.random() < 0.1:
            return b"card", chance.choice([b"", b"rubbish", b"\x00\x00\x00\x00\x07rubbish"])
        if role == "predictions":
            score = chance.choice([0.1, 0.5, 0.9, float("nan")])
            return b"card", prediction(worlds[0].bus, score, f"1.0.{chance.randrange(2)}")
        values = [chance.choice([0.0, 1.0, chance.gauss(5, 2), float("nan"), float("inf")]) for _ in range(2)]
        return b"card", feature_vector(tuple(values[: chance.choice([2, 2, 2, 1])]))

    def prepare(pipeline: MemoryPipeline) -> None:
        worlds.insert(0, ProfileWorld(pipeline.bus, 2, LABEL))

    def judge(_pipeline: MemoryPipeline) -> None:
        worlds[0].check_frames()

    run = StatefulPlay(logic, PROFILE.name, seed, row=row, prepare=prepare, references=PROFILE.clues)
    play(run, 160, judge)
    counts = worlds[0].check_frames()
    assert min(counts["features"], counts["answers"]) > 0
    assert counts["bare"] < sum(counts.values()) / 2
