"""What is shown of a pipeline, from records alone."""

import numpy as np

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Alarm, Message, Rollout, Share, WorkerState
from freshet.contracts.topic_table import TopicNames
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.lag.lag_rows import Hop, Unread, lag_of, partition_lag
from freshet.operate.observer.samples import Episodes, NewestQuality, Sample, of_lag, of_ledger
from freshet.runtime.bus.protocol import Span
from freshet.runtime.metrics import of_topics as told
from support.retraining import alarm

NAMES = TopicNames("", "fraud")
NOW_MS = 1_000_000


def ledger(*facts: tuple[str, Message, int]) -> PipelineLedger:
    """The pipeline after these (role, message, time)."""
    made = PipelineLedger("fraud")
    for role, message, at_ms in facts:
        key = getattr(message, "instance", "fraud/1")
        made.fold(Fact(role, key, message, at_ms))
    return made


def rollout(epoch: int, version: str) -> Rollout:
    """One that is live."""
    return Rollout(
        pipeline="fraud", epoch=epoch, phase="live", table=(Share(version=version, share=10_000),), salt="", cause="x"
    )


def values(samples: "list[Sample]", metric: object) -> dict[tuple[str, ...], float]:
    """Those of one metric, by labels."""
    return {sample.labels: sample.value for sample in samples if sample.metric is metric}


def evaluation(first_row: int, right: int, wrong: int, series: str = "served") -> Evaluation:
    """So many right and wrong answers of two classes."""
    rows = right + wrong
    return Evaluation(
        pipeline="fraud",
        series=series,
        view="arrival",
        first_row=first_row,
        end_row=first_row + rows,
        through=0,
        start_ms=0,
        end_ms=first_row,
        predictions=rows,
        rows=rows,
        classes=("no", "yes"),
        confusion=np.array([[right, wrong], [0, 0]], np.int64).tobytes(),
        score_bins=np.zeros((2, 64), np.int64).tobytes(),
        log_loss_sum=0.0,
        absolute_sum=0.0,
        squared_sum=0.0,
        truth_sum=0.0,
        truth_squared_sum=0.0,
        versions={},
        epochs=(),
    )


def test_an_episode_is_open_until_another_version_answers() -> None:
    """An epoch that changes nothing but a pause does not close it; an alarm that is told twice counts once."""
    found = Episodes()
    for name in ("a", "a", "b"):
        found.take(alarm(name, pipeline="fraud", episode=name, level="detected", at_ms=500))
    before = ledger(("rollouts", rollout(1, "1.0.0"), 100), ("rollouts", rollout(2, "1.0.0"), 600))
    after = ledger(("rollouts", rollout(1, "1.0.0"), 100), ("rollouts", rollout(2, "1.0.1"), 600))
    assert values([*found.samples(before)], told.OPEN_EPISODES) == {("fraud",): 2}
    assert values([*found.samples(after)], told.OPEN_EPISODES) == {("fraud",): 0}
    assert sum(values([*found.samples(after)], told.ALARMS).values()) == 2


def test_quality_is_that_of_the_newest_rows() -> None:
    """A thousand or so; versions, of which there are ever more, are no series here."""
    found = NewestQuality()
    for block in range(8):
        found.take(evaluation(block * 250, 250 if block >= 4 else 0, 0 if block >= 4 else 250))
        found.take(evaluation(block * 250, 250, 0, f"version:1.0.{block}"))
    assert values([*found.samples("fraud")], told.ACCURACY) == {("fraud", "served"): 1.0}


def test_of_many_series_and_partitions_only_so_many_are_told_apart() -> None:
    """Labels are bounded, whatever a pipeline is like: what was served stays, and sums stay right."""
    found = NewestQuality()
    for number in range(50):
        found.take(evaluation(0, 1, 0, f"slice:{number:02}"))
    found.take(evaluation(0, 1, 0))
    shown = values([*found.samples("fraud")], told.ACCURACY)
    assert len(shown) == told.SERIES_SHOWN
    assert ("fraud", "served") in shown
    rows = [
        partition_lag(
            Hop("ingestion", "events"),
            NAMES,
            partition,
            position=0,
            span=Span(0, 9, 9),
            unread=Unread(2, True, 1, NOW_MS - partition),
            now_ms=NOW_MS,
        )
        for partition in range(told.PARTITIONS_SHOWN + 1)
    ]
    samples = [*of_lag(lag_of("fraud", rows, (), NOW_MS))]
    place = ("fraud", "ingestion", "events", "all")
    assert values(samples, told.LAG_RECORDS) == {place: 2 * len(rows)}
    assert values(samples, told.LAG_SECONDS) == {place: told.PARTITIONS_SHOWN / 1000}


def test_who_fell_silent_is_told_apart_from_who_left() -> None:
    """A good-bye is no loss."""

    def worker(slot: str, *, leaving: bool = False) -> WorkerState:
        return WorkerState(
            instance=f"inference/fraud/{slot}", service="inference", pipeline="fraud", interval_ms=3000, leaving=leaving
        )

    known = ledger(
        ("workers", worker("0"), NOW_MS - 100),
        ("workers", worker("1"), NOW_MS - 60_000),
        ("workers", worker("2", leaving=True), NOW_MS - 60_000),
    )
    assert values([*of_ledger(known, NOW_MS)], told.WORKERS) == {
        ("fraud", "inference", "alive"): 1,
        ("fraud", "inference", "silent"): 1,
    }


def test_nothing_is_told_of_alarms_that_are_of_another_kind() -> None:
    """A suspicion opens no episode."""
    found = Episodes()
    suspected: Alarm = alarm("a", pipeline="fraud", level="suspected")
    found.take(suspected)
    assert values([*found.samples(ledger())], told.OPEN_EPISODES) == {("fraud",): 0}
