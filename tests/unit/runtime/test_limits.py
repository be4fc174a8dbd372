"""A pipeline's `limits` bound the loop's batches and their distance, also when it is applied anew while serving."""

from itertools import pairwise

import pytest

from freshet.contracts.logic import BatchLimits, Fact
from freshet.contracts.topic_table import TopicNames
from freshet.inference.core.logic import InferenceLogic
from freshet.ingestion.core.logic import IngestionLogic
from freshet.testing import MemoryPipeline
from support.ingestion import SPEC_TEXT, applied, framed, loan


class Ingesting(MemoryPipeline):
    """Ingestion of the loans pipeline, with one worker."""

    def __init__(self, batch_rows: int = 100_000) -> None:
        super().__init__("ingestion", partitions=1, names=TopicNames("", "loans"), batch_rows=batch_rows)
        self.worker = self.loop(IngestionLogic("loans"))

    def apply(self, number: int, rows: int, interval_ms: int = 0) -> None:
        """Publish the pipeline with these limits, and let the loop see it."""
        limits = f"\nlimits:\n  max_batch_rows: {rows}\n  commit_interval_ms: {interval_ms}\n"
        message = applied(SPEC_TEXT + limits, number=number).message
        assert message is not None
        self.tell("pipelines", "loans", message)
        self.turn(self.worker, times=6)

    def rows_of_turns(self, count: int) -> list[int]:
        """Feed so many events; how many rows each turn answers until none is left."""
        self.send("events", [b"k"] * count, [framed(loan())] * count)
        answered: list[int] = []
        while sum(answered) < count:
            answered.append(self.worker.step(0.0))
        return answered


def test_batches_are_as_large_as_the_pipeline_allows_and_no_larger() -> None:
    """`max_batch_rows`: rows that are answered and committed together; a new number counts from the next batch on."""
    ingesting = Ingesting()
    ingesting.apply(1, rows=40)
    assert max(ingesting.rows_of_turns(200)) == 40
    ingesting.apply(2, rows=8)
    assert max(ingesting.rows_of_turns(100)) == 8
    ingesting.apply(3, rows=60)
    assert max(ingesting.rows_of_turns(400)) == 60


def test_a_process_of_several_pipelines_caps_them_all() -> None:
    """The process's own cap and the pipeline's: the smaller one counts."""
    ingesting = Ingesting(batch_rows=10)
    ingesting.apply(1, rows=40)
    assert max(ingesting.rows_of_turns(100)) == 10


@pytest.mark.parametrize("interval_ms", [0, 100])
def test_transactions_are_as_far_apart_as_the_pipeline_says(interval_ms: int) -> None:
    """`commit_interval_ms`: the least distance of two transactions under light load."""
    ingesting = Ingesting()
    ingesting.apply(1, rows=100, interval_ms=700)
    ingesting.apply(2, rows=100, interval_ms=interval_ms)
    ingesting.rows_of_turns(1)
    before_ms = ingesting.clock.now_ms()
    ingesting.rows_of_turns(1)
    assert ingesting.clock.now_ms() - before_ms == interval_ms


def test_the_distance_counts_from_begin_to_begin() -> None:
    """What arrives while a commit takes its time has waited already when that commit is done."""
    ingesting = Ingesting()
    begun_ms: list[int] = []

    def commit_takes_15_ms(_client: str, operation: str) -> None:
        if operation == "commit":
            begun_ms.append(ingesting.clock.now_ms())
            ingesting.clock.advance(15)

    ingesting.apply(1, rows=100, interval_ms=100)
    ingesting.cluster.before = commit_takes_15_ms
    for _ in range(3):
        ingesting.rows_of_turns(1)
    assert [later - earlier for earlier, later in pairwise(begun_ms)] == [100, 100]


def test_inference_gives_the_limits_of_the_newest_specification() -> None:
    """The same numbers that admission and warm-up judge models by."""
    logic = InferenceLogic("loans", "0", topic_id="A" * 22)
    assert logic.limits == BatchLimits()
    for number, rows in ((1, 100), (2, 50)):
        text = SPEC_TEXT + f"\nlimits: {{max_batch_rows: {rows}, commit_interval_ms: {20 * number}}}\n"
        fact = applied(text, number=number)
        logic.fold(Fact("pipelines", "loans", fact.message))
        assert logic.limits == BatchLimits(rows, 5 * number), "a quarter: ingestion has spaced its input already"


def test_a_start_begins_with_small_batches_that_double() -> None:
    """A worker that died of a batch too large for its transaction's timeout must not meet the same one again."""
    ingesting = Ingesting()
    ingesting.apply(1, rows=5000)
    assert ingesting.rows_of_turns(3000) == [250, 500, 1000, 1250]
