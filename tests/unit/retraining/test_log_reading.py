"""How long the labelled log is, and how a range of its rows is read."""

import numpy as np
import pytest

from freshet.retraining.core.train_job import Measured
from freshet.retraining.log_reading import read_stretch
from freshet.training.trainer import TrainingError
from support.labelled import STEP_MS, Log, learnable, records_of
from support.outcomes import rows_of


def test_rows_are_counted_over_all_partitions() -> None:
    """And a later look goes on from the one before."""
    records = records_of(learnable(1000), 10)
    log = Log(*records[:60])
    first = log.measure()
    assert (first.rows, first.through, first.ends) == (600, 59, {0: 300, 1: 300})
    assert log.measure(first) == first
    log.write(*records[60:])
    assert log.measure(first) == log.measure()
    assert log.measure(first).rows == 1000
    assert log.measure(first).at_ms > first.at_ms


def test_an_empty_log_has_no_rows() -> None:
    """Nor has one that was never made."""
    empty = Log()
    assert empty.measure() == Measured(0, -1, 0, {}, empty.bus.topic_id("outcomes"))


def test_retention_changes_no_number() -> None:
    """The front of the log is gone; its length is the same."""
    log = Log(*records_of(learnable(1000), 10))
    whole = log.measure()
    log.cluster.truncate(log.bus.names.topic("outcomes"), 0, 50)
    left = log.measure()
    assert (left.rows, left.through, left.ends) == (whole.rows, whole.through, whole.ends)
    found = read_stretch(log.bus, "p", 0, whole.rows, whole.through, width=3, classes=2)
    assert (found.first_row, found.end_row) == (500, 1000)


def test_rows_that_labels_are_late_are_seen_in_the_log() -> None:
    """From when predictions were made to when the log had their labels; one label that is very late changes nothing."""
    log = Log()
    begun_ms = log.cluster.now_ms
    rows = learnable(1000)
    made = [begun_ms + STEP_MS * max(0, number // 10 - 29) for number in range(1000)]  # ten rows a step, 300 late
    made[-1] = begun_ms
    rows = rows_of(1000, predicted_ms=np.array(made), values=rows.values, scores=rows.scores)
    log.write(*records_of(rows, 10))
    first = log.measure()
    assert 290 <= first.late_rows <= 310
    assert log.measure(first).late_rows == first.late_rows, "nothing new says nothing new"


@pytest.mark.parametrize("from_row", [0, 1, 499, 500, 990])
def test_a_range_is_read_backwards_from_its_end(from_row: int) -> None:
    """However far back; rows behind the end are not there."""
    log = Log(*records_of(learnable(1000), 2))
    end = log.measure()
    log.write(*records_of(learnable(100)))
    found = read_stretch(log.bus, "p", from_row, end.rows, end.through, width=3, classes=2)
    assert found.first_row <= from_row
    assert found.end_row == 1000
    assert found.rows.predicted_ms.tolist() == [1000 * row for row in range(found.first_row, 1000)]


def test_a_range_that_retention_has_taken_is_said_to_be_gone() -> None:
    """A training that was cut off for months."""
    log = Log(*records_of(learnable(1000), 10))
    log.cluster.truncate(log.bus.names.topic("outcomes"), 0, 50)
    with pytest.raises(TrainingError, match="no longer holds its record 20"):
        read_stretch(log.bus, "p", 0, 210, 20, width=3, classes=2)


@pytest.mark.parametrize("count", [0, 30, 100, 120])
def test_a_log_that_was_made_anew_is_counted_from_its_own_beginning(count: int) -> None:
    """However long it is by now: what an earlier look has seen was another log. A range of that one is gone."""
    log = Log(*records_of(learnable(1000), 10))
    before = log.measure()
    log.cluster.remake_topic(log.bus.names.topic("outcomes"))
    log.write(*records_of(learnable(10 * count, seed=1), 10))
    assert log.measure(before) == log.measure()
    assert log.measure(before).rows == 10 * count
    assert not count or log.measure(before).since_ms > before.at_ms
    if count != 100:  # the same rows in the same records would be the same log
        with pytest.raises(TrainingError, match=r"no longer holds|deleted and made anew"):
            read_stretch(log.bus, "p", 0, before.rows - 100, before.through - 11, width=3, classes=2)


def test_a_look_tells_since_when_the_log_has_rows() -> None:
    """Retention moves that on."""
    log = Log(*records_of(learnable(1000), 10))
    first = log.measure()
    log.cluster.truncate(log.bus.names.topic("outcomes"), 0, 50)
    assert log.measure(first).since_ms > first.since_ms
    assert log.measure(first) == log.measure()
