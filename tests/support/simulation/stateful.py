"""Chance against the counter: what `freshet.testing` does to any logic with state, and answers that must be exact."""

from freshet.testing import MemoryPipeline
from freshet.testing.play import play
from freshet.testing.stateful_checks import StatefulPlay
from support.loops import REFERENCE, answers
from support.stateful import SERVICE, Counter, check_counts


def counter_play(kind: type[Counter], seed: int | str) -> StatefulPlay:
    """A run of chance over two workers of this kind."""
    return StatefulPlay(kind, SERVICE, seed, references=(REFERENCE,))


def play_state(kind: type[Counter], seed: int | str, acts: int) -> None:
    """Let so many things happen, and judge half way and at the end. Raises ConformanceError."""

    def judge(pipeline: MemoryPipeline) -> None:
        found = sorted(answers(pipeline.read("predictions")))
        inputs = [(row.partition(), row.offset()) for batch in pipeline.read("features") for row in batch.records]
        assert [answer[:2] for answer in found] == sorted(inputs)
        if kind().reach_ms is None:
            check_counts(found)

    play(counter_play(kind, seed), acts, judge)
