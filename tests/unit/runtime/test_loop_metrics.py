"""What a loop counts of its batches: exactly what it committed, however its batches came to be."""

import threading
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from freshet.avro.decode import Decoder
from freshet.contracts.batch import Batch
from freshet.contracts.logic import DeadLetter, Effect, Job, Publish
from freshet.runtime.jobs import Stop
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.telemetry import Metrics
from support.loops import Answerer, Stand

LABELS = {"service": "inference", "pipeline": "p"}


class Picky(Answerer):
    """Sets every tenth row aside, and answers row 37 with more bytes than its topic takes."""

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """Answer the others."""
        tenth = batch.offsets % 10 == 0
        if tenth.any():
            yield DeadLetter(np.flatnonzero(tenth), "input_range", ["too small"] * int(tenth.sum()))
        rest = Batch(batch.role, [batch.records[row] for row in np.flatnonzero(~tenth).tolist()])
        for effect in super().on_batch(rest) if len(rest) else ():
            if isinstance(effect, Publish):
                placed = zip(rest.offsets.tolist(), effect.values, strict=True)
                yield replace(effect, values=[b"x" * 2_000_000 if at == 37 else value for at, value in placed])
            else:
                yield effect


class Work(Job[None]):
    """Something beside the loop."""


def shown(metrics: Metrics, name: str, **labels: str) -> float:
    """What `/metrics` shows."""
    return metrics.registry.get_sample_value(f"freshet_{name}", LABELS | labels) or 0.0


def test_what_is_counted_is_what_the_topics_hold() -> None:
    """Answers, dead letters by reason, and their bytes; a row that was set aside for its size is one of them."""
    stand, metrics = Stand(partitions=1), Metrics()
    stand.feed(60)
    stand.turn(stand.loop(Picky(), metrics=metrics), times=80)
    answers, letters = stand.answers(), stand.dead()
    assert len(answers) + len(letters) == 60
    reasons = {letter["freshet.reason"] for letter in letters}
    assert reasons == {"input_range", "input_output_too_large"}
    for reason in reasons:
        counted = shown(metrics, "dead_letters_total", topic="features", reason=reason)
        assert counted == sum(letter["freshet.reason"] == reason for letter in letters)
    assert shown(metrics, "records_consumed_total", topic="features") == 60
    assert shown(metrics, "consumed_bytes_total", topic="features") == 60 * len(b"v")
    assert shown(metrics, "records_produced_total", topic="predictions") == len(answers)
    assert shown(metrics, "records_produced_total", topic="dead-letters") == len(letters)
    assert shown(metrics, "batch_size_records_sum") == 60


def test_rows_of_a_partition_that_waits_are_not_counted_as_answered() -> None:
    """They are read again, and would be counted twice."""
    stand, metrics, logic = Stand(), Metrics(), Answerer()
    loop = stand.loop(logic, metrics=metrics)
    stand.turn(loop)
    stand.feed(5, 0)
    stand.feed(7, 1)
    logic.waits = lambda role, partition: ""  # type: ignore[method-assign]  # only its answer tells that it waits
    logic.hold = {1}
    stand.turn(loop, times=1)
    assert 0 < len(stand.answers()) < 12
    assert shown(metrics, "records_consumed_total", topic="features") == len(stand.answers())
    logic.hold = set()
    stand.turn(loop)
    assert len(stand.answers()) == 12
    assert shown(metrics, "records_consumed_total", topic="features") == 12


def test_jobs_are_timed_and_their_failures_counted() -> None:
    """By the class of the job."""
    metrics = Metrics()

    def run(job: Job[None], stop: Stop) -> object:
        raise ValueError("no")

    timed = LoopMetrics(metrics, "inference", "p").timed(run)
    with pytest.raises(ValueError, match="no"):
        timed(Work(), threading.Event())
    assert shown(metrics, "jobs_failed_total", job="Work") == 1
    assert shown(metrics, "job_duration_seconds_count", job="Work") == 1


class Coding(Answerer):
    """Decodes each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder('{"type": "record", "name": "R", "fields": []}')

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """As a logic of ours would."""
        self.decoder.decode(batch.values)
        return super().on_batch(batch)


def test_time_in_the_codec_is_told_for_each_batch_that_was_committed() -> None:
    """Of both steps."""
    stand, metrics = Stand(partitions=1), Metrics()
    stand.feed(60)
    stand.turn(stand.loop(Coding(), metrics=metrics), times=20)
    batches = shown(metrics, "transactions_committed_total")
    assert batches > 0
    assert [shown(metrics, "codec_duration_seconds_count", step=step) for step in ("decode", "encode")] == [batches] * 2
    assert min(shown(metrics, "codec_duration_seconds_sum", step=step) for step in ("decode", "encode")) > 0
