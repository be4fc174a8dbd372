"""Ranges of prediction time: told when they are done, once, and of bounded number."""

import json
import struct
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Minute, Outcomes
from freshet.quality.fold import State, first_state, step
from freshet.quality.state_bytes import from_bytes, to_bytes
from support.outcomes import HORIZON_MS, MINUTE_MS, record_of, rows_of, setting


class Log:
    """A labelled log, folded as it grows."""

    def __init__(self, partitions: int = 1) -> None:
        self._settings = {1: replace(setting(), partitions=partitions)}
        self.state: State = first_state()
        self.said: list[Evaluation] = []
        self.rows: dict[int, int] = {}
        self.records = 0

    def add(
        self,
        *minutes: tuple[int, ...],
        labelled: Sequence[int] = (),
        partition: int = 0,
        versions: Sequence[int] = (),
    ) -> None:
        """A record: (minute, predictions, first labels[, class]), and rows of predictions of these minutes."""
        predicted = np.array(labelled, np.int64) * MINUTE_MS + 1
        version = np.array(versions or [0] * len(labelled), np.int64)
        rows = rows_of(
            len(labelled),
            predicted_ms=predicted,
            labelled_ms=predicted + 1,
            versions=("1.0.0", "2.0.0"),
            version=version,
        )
        told = [
            Minute(start_ms=at * MINUTE_MS, predictions=count, labelled=done, answer=answer[0] if answer else -1)
            for at, count, done, *answer in minutes
        ]
        first_row = self.rows.get(partition, 0)
        self._fold(record_of(rows, first_row=first_row, partition=partition, minutes=told))
        self.rows[partition] = first_row + len(rows)

    def _fold(self, record: Outcomes) -> None:
        self.state, more = step(self.state, record, self.records, self._settings)
        self.state = from_bytes(to_bytes(self.state))
        self.records += 1
        self.said += [one for one in more if one.view == "closed"]

    @property
    def served(self) -> list[tuple[int, int, int, int]]:
        """Of each range that was told: its predictions, its labels, and its first and last row's minute."""
        found = [one for one in self.said if one.series == "served"]
        return [(one.predictions, one.rows, one.start_ms // MINUTE_MS, one.end_ms // MINUTE_MS) for one in found]


def test_a_range_is_told_once_80_percent_of_it_are_labelled() -> None:
    """Not at 79, and not while its last minute may go on."""
    log = Log()
    log.add((0, 600, 600), labelled=[0] * 600)
    log.add((0, 0, 0))
    assert log.served == []
    log = Log()
    log.add((0, 600, 474), (1, 1, 0), (2, 1, 0), labelled=[0] * 474)
    log.add((2, 1, 0))
    assert log.served == []
    log.add((0, 0, 6), labelled=[0] * 6)
    log.add((2, 1, 0))
    assert log.served == [(600, 480, 0, 0)]


def test_a_range_waits_for_the_labels_of_a_rare_class() -> None:
    """80 % of all are labelled long before: not one of those that answered the rare class is among them."""
    log = Log()
    log.add((0, 560, 560, 0), (0, 40, 0, 1), (2, 1, 0, 0), labelled=[0] * 560)
    log.add((2, 1, 0, 0))
    assert log.served == []
    log.add((0, 0, 31, 1), labelled=[0] * 31)
    log.add((2, 1, 0, 0))
    assert log.served == []
    log.add((0, 0, 1, 1), labelled=[0])
    log.add((2, 1, 0, 0))
    assert log.served == [(600, 592, 0, 0)]


def test_a_class_of_hardly_any_predictions_is_not_waited_for() -> None:
    """One of 19 says too little to hold up all others."""
    log = Log()
    log.add((0, 581, 581, 0), (0, 19, 0, 1), (2, 1, 0, 0), labelled=[0] * 581)
    log.add((2, 1, 0, 0))
    assert log.served == [(600, 581, 0, 0)]


def test_classes_of_minutes_that_become_one_range_are_put_together() -> None:
    """In none of six minutes does the rare class have 20 predictions; in their range it has."""
    log = Log()
    minutes = [entry for at in range(6) for entry in ((at, 90, 90, 0), (at, 10, 0, 1))]
    log.add(*minutes, (9, 1, 0, 0), labelled=[at for at in range(6) for _ in range(90)])
    log.add((9, 1, 0, 0))
    log.add((9, 1, 0, 0))
    assert log.served == []


def test_minutes_are_put_together_to_500_predictions() -> None:
    """All of one range are told together."""
    log = Log()
    log.add(
        *((minute, 100, 100) for minute in range(12)), labelled=[minute for minute in range(12) for _ in range(100)]
    )
    log.add((12, 1, 0))
    assert log.served == [(500, 500, 0, 4), (500, 500, 5, 9)]


def test_a_range_without_labels_is_told_when_none_can_come_any_more() -> None:
    """With the few that it has; what comes then is not counted."""
    log = Log()
    log.add((0, 600, 10), labelled=[0] * 10)
    late = HORIZON_MS // MINUTE_MS + 3
    log.add((late - 3, 1, 0))
    assert log.served == []
    log.add((late, 1, 0))
    log.add((late, 1, 0))
    assert log.served == [(600, 10, 0, 0)]
    log.add((late + 1, 1, 1), labelled=[0] * 5)
    log.add((late + 3, 1, 1))
    assert log.served == [(600, 10, 0, 0)]


def test_a_later_range_is_told_before_an_earlier_one_that_lacks_labels() -> None:
    """And nothing is counted for it twice, though the earlier one is still open."""
    log = Log()
    log.add((0, 600, 100), (1, 600, 600), (3, 1, 0), labelled=[0] * 100 + [1] * 600)
    log.add((3, 1, 0), labelled=[1] * 7)
    assert log.served == [(600, 600, 1, 1)]
    log.add((0, 0, 400), labelled=[0] * 400 + [1] * 7)
    log.add((3, 1, 0))
    assert log.served == [(600, 600, 1, 1), (600, 500, 0, 0)]


def test_a_partition_that_lags_is_waited_for_and_an_idle_one_is_not() -> None:
    """Its predictions of the range are not there yet."""
    log = Log()
    log.add((0, 1, 0), partition=1)
    log.add((0, 600, 600), (5, 1, 0), labelled=[0] * 600)
    log.add((5, 1, 0))
    assert log.served == []
    log.add((20, 1, 0))
    log.add((20, 1, 0))
    assert log.served == [(601, 600, 0, 0)]


def test_a_partition_of_which_nothing_was_heard_is_waited_for_like_one_that_lags() -> None:
    """Where a long log is caught up with, one partition may come first."""
    log = Log(partitions=2)
    log.add((0, 600, 600), (5, 1, 0), labelled=[0] * 600)
    log.add((5, 1, 0))
    assert log.served == []
    log.add((0, 100, 100), (5, 1, 0), labelled=[0] * 100, partition=1)
    log.add((5, 1, 0), partition=1)
    assert log.served == [(700, 700, 0, 0)]


def test_a_version_with_few_rows_in_a_range_is_no_series_there() -> None:
    """Its rows are part of what was served. How many predictions it made is not known."""
    log = Log()
    log.add((0, 600, 600), (2, 1, 0), labelled=[0] * 600, versions=[0] * 351 + [1] * 249)
    log.add((2, 1, 0))
    assert [(one.series, one.rows, one.predictions) for one in log.said] == [
        ("served", 600, 600),
        ("version:1.0.0", 351, 0),
    ]
    assert log.said[0].versions == {"1.0.0": 351, "2.0.0": 249}


def test_open_ranges_are_few_however_late_labels_are() -> None:
    """A week of minutes: neighbours become one, and nothing of their counts is lost."""
    log = Log()
    for minute in range(0, 10_000, 50):
        log.add(*((at, 600, 1) for at in range(minute, minute + 50)), labelled=[minute])
    open_now = [one for one in log.state.ranges.ranges if one.counts is not None]
    assert len(open_now) <= 34
    assert len(to_bytes(log.state)) < 100_000


def test_a_state_of_before_answers_were_counted_goes_on() -> None:
    """A checkpoint of an earlier release says nothing by class."""
    log = Log()
    log.add((0, 600, 500), (1, 9, 1), labelled=[0] * 500)
    body = to_bytes(log.state)
    size, rows = struct.unpack_from("<II", body)
    told = json.loads(body[8 : 8 + size])
    told["ranges"] = [one[:5] for one in told["ranges"]]
    text = json.dumps(told, separators=(",", ":"), sort_keys=True).encode()
    old = struct.pack("<II", len(text), rows) + text + body[8 + size :]
    assert to_bytes(from_bytes(old)) == body
