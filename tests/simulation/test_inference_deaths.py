"""Models that kill their worker, on a bus in memory: it dies and comes back, until every row has its one end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from freshet.contracts.arrays import Floats32
from freshet.contracts.logic import Job
from freshet.inference.core.crash_blame import ROW_DEATHS, VERSION_DEATHS, Death, Flight
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.core.model_jobs import Loaded, LoadModel, Scorer
from freshet.operate.records import headers_of
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import Stop
from freshet.runtime.telemetry import Metrics
from support.inference import PIPELINE, FakeScorer, Mind, flight, model, rollout, sound, specification
from support.inference_stage import PARTITIONS, InferenceStage

ROWS = 60
ONE_ROW_DEATHS = 1 + ROW_DEATHS


class Died(BaseException):
    """The process is gone: no code of it runs after this."""


def deadly(*numbers: float) -> Mind:
    """Sound, but a row whose first feature is one of these kills."""

    def think(rows: Floats32) -> Floats32:
        if np.isin(rows[:, 0], numbers).any():
            raise Died
        return sound("v2")(rows)

    return think


def fatal(rows: Floats32) -> Floats32:
    """Kills whatever the row."""
    raise Died


class World(InferenceStage):
    """v2 answers with a mind of its own, v1 stands in. One worker, restarted in place whenever it dies.

    Row n of partition p has the first feature n + p/2.
    """

    def __init__(self, mind: Mind, limits: str = "", deadly_load: str = "") -> None:
        spec = specification()
        super().__init__(batch_rows=16, record=spec.model_copy(update={"spec": spec.spec + limits}))
        self.say("models", model("v1"))
        self.say("models", model("v2"))
        self.say("rollouts", rollout(1, "v1"))
        self.say("rollouts", rollout(2, "v2", understudy="v1", resident=["v1", "v2"]))
        self.mind, self.deadly_load, self.metrics = mind, deadly_load, Metrics()
        self.died_loading: list[str] = []
        self.deaths: list[Death] = []
        self.died = 0
        self.worker = self._start()

    def rows(self, count: int) -> None:
        """Append rows to each partition."""
        self.feed(count, lambda partition, at: [at + partition / 2, 1, 2])

    def live(self, times: int) -> None:
        """Let the worker turn; when it dies, another takes its place with what the note says."""
        for _ in range(times):
            try:
                self.turn(self.worker, times=1)
            except Died:
                self.died += 1
                self.worker = self._start()

    def kill(self, *, while_scoring: bool) -> None:
        """From outside; the note says what it was doing."""
        self.deaths = [*self.deaths, Death(flight("v2"))] if while_scoring else []
        self.worker = self._start()

    def answered(self) -> list[tuple[int, int, str, int]]:
        """(partition, offset, version, fallback) of every prediction."""
        return self.answers("fallback")

    def dead(self) -> list[tuple[str, int, int]]:
        """(reason, partition, offset) of every dead letter."""
        headers = [headers_of(record.headers()) for batch in self.read("dead-letters") for record in batch.records]
        return sorted(
            (context["freshet.reason"], int(context["freshet.partition"]), int(context["freshet.offset"]))
            for context in headers
        )

    def quarantined(self) -> Sequence[str]:
        """What the worker's last record says."""
        return self.states()[-1].quarantined

    @contextmanager
    def _guard(self, flight: Flight, scorer: Scorer, batch_p99_ms: int) -> Iterator[None]:
        try:
            yield
        except Died:
            self.deaths.append(Death(flight))
            raise

    def _start(self) -> DataLoop:
        logic = InferenceLogic(
            PIPELINE,
            "w",
            topic_id=self.bus.topic_id("features"),
            deaths=tuple(self.deaths),
            died_loading=tuple(self.died_loading),
            guard=self._guard,
        )
        minds = {"v1": sound("v1"), "v2": self.mind}

        def load(job: Job[Any], stop: Stop) -> object:
            if isinstance(job, LoadModel) and job.version == self.deadly_load:
                self.died_loading.append(job.manifest.digest)
                raise Died
            if isinstance(job, LoadModel):
                return Loaded(FakeScorer(job.manifest, minds[job.version]), load_ms=1, p99_us=1)
            return None

        return self.loop(logic, jobs=load, metrics=self.metrics)


def places() -> set[tuple[int, int]]:
    """All rows that are fed."""
    return {(partition, at) for partition in range(PARTITIONS) for at in range(ROWS)}


@pytest.mark.parametrize("row", [0, 7, ROWS - 1])
def test_a_row_that_kills_is_set_aside_and_everything_else_is_answered_by_the_same_version(row: int) -> None:
    """Three deaths, one dead letter, no quarantine."""
    world = World(deadly(row))
    world.rows(ROWS)
    world.live(80)
    assert world.died == ONE_ROW_DEATHS
    assert world.dead() == [("model_crashed", 0, row)]
    assert world.answered() == sorted((*place, "v2", 0) for place in places() - {(0, row)})
    assert world.quarantined() == ()


def test_a_row_that_kills_is_found_however_long_a_batch_may_take() -> None:
    """A limit of ten seconds a batch: rows in doubt come two at a time, and everything has its end."""
    world = World(deadly(7), limits="limits: {batch_p99_ms: 10000}\n")
    world.rows(ROWS)
    world.live(120)
    assert world.died == ONE_ROW_DEATHS
    assert world.dead() == [("model_crashed", 0, 7)]
    assert len(world.answered()) == PARTITIONS * ROWS - 1


@pytest.mark.parametrize("mind", [deadly(9, 9.5, 40), deadly(9, 10), deadly(9, 40.5)])
def test_a_version_that_kills_on_different_rows_is_quarantined(mind: Mind) -> None:
    """One row may be set aside on the way; all others that would kill are answered by the understudy."""
    world = World(mind)
    world.rows(ROWS)
    world.live(80)
    aside = {(partition, at) for _, partition, at in world.dead()}
    assert world.died == VERSION_DEATHS
    assert len(aside) == len(world.dead()) <= 1
    assert {(partition, at) for partition, at, *_ in world.answered()} == places() - aside
    assert len(world.answered()) == PARTITIONS * ROWS - len(aside)
    assert world.quarantined() == ("v2",)
    assert {row[2:] for row in world.answered()} <= {("v2", 0), ("v1", 1)}


def test_a_version_that_always_kills_answers_nothing_and_loses_nothing() -> None:
    """Not even a dead letter: the first batch in which it might answer is the understudy's."""
    world = World(fatal)
    world.rows(ROWS)
    world.live(80)
    assert world.died == VERSION_DEATHS
    assert world.dead() == []
    assert world.answered() == sorted((*place, "v1", 1) for place in places())


def test_a_process_that_is_killed_from_outside_blames_nobody() -> None:
    """Three kills in a row may well hit a score call; a fourth that did not shows that they were kills."""
    world = World(sound("v2"))
    for turn in range(20):
        world.rows(3)
        world.live(3)
        world.kill(while_scoring=turn % VERSION_DEATHS > 0)
    world.live(20)
    assert world.quarantined() == ()
    assert {row[2:] for row in world.answered()} == {("v2", 0)}
    assert len(world.answered()) == PARTITIONS * ROWS


def test_a_champion_that_kills_at_load_costs_two_deaths_and_no_row() -> None:
    """The workers' memory is too small for it, say: the third process serves with the understudy."""
    world = World(sound("v2"), deadly_load="v2")
    world.rows(ROWS)
    world.live(800)
    assert world.died == 2
    assert {row[:2] for row in world.answered()} == places()
    assert {row[2] for row in world.answered()} == {"v1"}
    assert world.quarantined() == ()


def test_the_metrics_say_that_a_version_loses_rows_though_too_few_to_take_it_out() -> None:
    """Below 1 % nobody quarantines it, and each lost row is a good event: it must be seen by whoever looks."""

    def leaky(rows: Floats32) -> Floats32:
        scores = sound("v2")(rows)
        scores[rows[:, 0] == 7] = np.nan
        return scores

    world = World(leaky)
    world.rows(ROWS)
    world.live(20)
    assert world.quarantined() == ()
    assert world.dead() == [("model_not_finite", 0, 7)]
    labels = {"service": "inference", "pipeline": PIPELINE, "topic": "features", "reason": "model_not_finite"}
    assert world.metrics.registry.get_sample_value("freshet_dead_letters_total", labels) == 1
