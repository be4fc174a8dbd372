"""Each detector by itself: what it finds, where it puts it, and what it does not mind."""

from collections.abc import Sequence

import numpy as np
import pytest

from freshet.contracts.arrays import Bools, Floats
from freshet.contracts.duration import Duration
from freshet.contracts.messages import Minute
from freshet.detectors.detector import Detector, Finding, Minutes, Observed
from freshet.detectors.doubt import Doubt
from freshet.detectors.observing import ObservingState, observe
from freshet.detectors.parts.adwin import AdwinDetector
from freshet.detectors.parts.labels import SHARE, SILENCE, LabelsDetector
from freshet.detectors.parts.promise import PromiseDetector
from support.labelled_log import START_MS, Log, bernoulli, persistent, rows

MINUTE_MS = 60_000


def findings(
    detector: Detector, errors: Floats, promised: float | Floats = np.nan, newcomer: Bools | None = None
) -> Sequence[Finding]:
    """What it finds in these rows."""
    rows, none = np.arange(len(errors)), np.zeros(0, np.int64)
    minutes = Minutes(none, none, none, none, none, none, none)
    fresh = np.zeros(len(errors), np.bool_) if newcomer is None else newcomer
    promises = np.broadcast_to(np.asarray(promised, np.float64), len(errors))
    return detector.rows(detector.begin(0), Observed(rows, rows, errors, promises, fresh, minutes))[1]


def levels(found: Sequence[Finding]) -> list[str]:
    """Their levels, in order."""
    return [finding.level for finding in found]


@pytest.mark.parametrize("seed", range(5))
def test_adwin_puts_the_change_where_it_was(seed: int) -> None:
    """River's own cut lies hundreds of rows before it."""
    jump = np.concatenate([bernoulli(seed, 3000, 0.1), bernoulli(seed + 50, 1000, 0.5)])
    suspected, detected = findings(AdwinDetector(), jump)
    assert (suspected.level, detected.level) == ("suspected", "detected")
    assert abs(suspected.test[0] - 3000) < 40
    assert detected.test[0] == suspected.test[0]
    assert 0 < suspected.threshold < suspected.statistic
    assert abs(detected.effect - 0.4) < 0.15


def test_what_is_detected_lies_above_its_threshold() -> None:
    """One of three blocks may be good: the statistic is the error of those that bear the suspicion out."""
    doubt = Doubt(before=0.1, after=0.5, reference_from=0, test_from=100, block=10)
    settled = [doubt.settled_by(error) for error in [0.2] * 10 + [0.0] * 10 + [0.2] * 10]
    assert settled[-1] is True
    found = doubt.finding("error", 129, 3)
    assert found.statistic == pytest.approx(0.2)
    assert found.statistic > found.threshold


def test_adwin_says_nothing_of_an_error_that_falls() -> None:
    """And finds a rise from the new level."""
    fall = np.concatenate([bernoulli(1, 3000, 0.5), bernoulli(2, 3000, 0.1)])
    assert findings(AdwinDetector(), fall) == []
    (suspected, *_) = findings(AdwinDetector(), np.concatenate([fall, bernoulli(3, 500, 0.5)]))
    assert abs(suspected.test[0] - 6000) < 40
    assert suspected.state_from > 2900


def test_a_run_of_errors_is_suspected_and_not_detected() -> None:
    """Two of three blocks behind it do not bear it out."""
    run = np.concatenate([bernoulli(1, 3000, 0.1), np.ones(40), bernoulli(2, 3000, 0.1)])
    assert levels(findings(AdwinDetector(), run)) == ["suspected"]
    runs = findings(AdwinDetector(), persistent(4, 50_000, 0.2, 0.9))
    assert levels(runs).count("detected") < levels(runs).count("suspected") / 2


def test_a_promise_that_is_kept_is_not_spoken_of() -> None:
    """And one that is broken from the first row on is found at once."""
    errors = bernoulli(1, 20_000, 0.3)
    assert findings(PromiseDetector(), errors, 0.3) == []
    suspected, detected = findings(PromiseDetector(), errors, 0.1)
    assert suspected.test[1] < 300
    assert detected.level == "detected"
    assert "0.100" in suspected.text


def test_each_row_counts_against_the_promise_of_its_version() -> None:
    """Two versions answer in turn, one bad and honest about it: all is as promised."""
    promised = np.where(np.arange(20_000) % 2 == 0, 0.1, 0.6)
    errors = (np.random.default_rng(1).random(20_000) < promised).astype(np.float64)
    assert findings(PromiseDetector(), errors, promised) == []
    assert levels(findings(PromiseDetector(), errors, np.full(20_000, 0.1))) == ["suspected", "detected"]


def test_a_line_that_gets_worse_step_by_step_is_found_across_publishes() -> None:
    """Each version lives for 250 rows and is only a little worse than the one before; the sum goes on."""
    share = 0.1 + np.arange(8000) // 250 * 0.01
    errors = (np.random.default_rng(1).random(8000) < share).astype(np.float64)
    newcomer = np.arange(8000) % 250 == 0
    assert "detected" in levels(findings(PromiseDetector(), errors, 0.1, newcomer))


def test_without_a_promise_the_first_rows_stand_for_it_until_it_was_broken() -> None:
    """What is published after the alarm has a world of its own, and is not held against the old one."""
    errors = np.concatenate([bernoulli(1, 3000, 0.1), bernoulli(2, 6000, 0.4)])
    newcomer = np.zeros(9000, np.bool_)
    assert levels(findings(PromiseDetector(), errors, newcomer=newcomer)) == ["suspected", "detected"]
    newcomer[4000] = True
    again = np.concatenate([errors, bernoulli(3, 2000, 0.8)])
    found = findings(PromiseDetector(), again, newcomer=np.concatenate([newcomer, np.zeros(2000, np.bool_)]))
    assert levels(found) == ["suspected", "detected"] * 2
    assert abs(found[-1].test[0] - 9000) < 60


def test_a_broken_promise_is_told_once_until_it_is_kept_again() -> None:
    """Not after each cool-down, for as long as it lasts."""
    bad, good = bernoulli(1, 10_000, 0.5), bernoulli(2, 3000, 0.1)
    found = findings(PromiseDetector(), np.concatenate([good, bad, good, bad]), 0.1)
    assert levels(found) == ["suspected", "detected"] * 2


def minutes(labelled: Sequence[int], *, behind: int = 0, asked: int = 50) -> Observed:
    """A record each minute; labels are read so many minutes later than predictions."""
    given = np.asarray(labelled)
    minute = np.arange(len(given))
    at_ms = START_MS + (minute + 1) * MINUTE_MS
    heard_ms = np.maximum.accumulate(np.where(given > 0, at_ms - behind * MINUTE_MS, 0))
    row, full = np.cumsum(given) - given, np.full(len(given), asked)
    none, no = np.zeros(0), np.zeros(0, np.int64)
    entries = Minutes(row, minute, at_ms, at_ms - MINUTE_MS, full, given, heard_ms)
    return Observed(no, no, none, none, np.zeros(0, np.bool_), entries)


def of_labels(observed: Observed, detector: LabelsDetector | None = None) -> list[tuple[str, str, int]]:
    """Level, subject and minute of what it finds."""
    part = detector or LabelsDetector(age=Duration.parse("10m"))
    return [(one.level, one.subject, one.offset) for one in part.rows(part.begin(0), observed)[1]]


def test_labels_that_stop_are_found_in_the_brokers_time() -> None:
    """Suspected after ten minutes, detected after fifteen, and once."""
    found = of_labels(minutes([30] * 60 + [0] * 60 + [30] * 5))
    assert found[:2] == [("suspected", SILENCE, 69), ("detected", SILENCE, 74)]
    assert [one for one in found[2:] if one[1] == SILENCE] == []


def test_labels_that_come_in_the_night_only_are_no_silence_once_they_did_so() -> None:
    """Twice the longest time that they stayed away is the limit."""
    day = [0] * 1439 + [30_000]
    found = of_labels(minutes(day * 5))
    assert {minute // 1440 for level, subject, minute in found if subject == SILENCE} == {1}


def test_no_prediction_and_no_label_is_no_silence() -> None:
    """Nobody asks at night."""
    observed = minutes([30] * 60 + [0] * 600 + [30] * 60)
    quiet = np.where(observed.minutes.labelled > 0, 50, 0)
    entries = observed.minutes
    at_night = Minutes(
        entries.row, entries.offset, entries.at_ms, entries.start_ms, quiet, entries.labelled, entries.labels_ms
    )
    none, no = np.zeros(0), np.zeros(0, np.int64)
    assert of_labels(Observed(no, no, none, none, np.zeros(0, np.bool_), at_night)) == []


def test_a_backlog_that_is_read_in_a_minute_is_no_silence() -> None:
    """Predictions of a day are read before their labels: by the time of the records nothing was silent."""
    observed = minutes([30] * 60 + [0] * 200)
    entries = observed.minutes
    hurried = np.minimum(entries.at_ms, entries.at_ms[60])
    read = Minutes(
        entries.row, entries.offset, hurried, entries.start_ms, entries.predictions, entries.labelled, entries.labels_ms
    )
    none, no = np.zeros(0), np.zeros(0, np.int64)
    assert of_labels(Observed(no, no, none, none, np.zeros(0, np.bool_), read)) == []


def test_a_fall_of_the_labelled_share_is_found() -> None:
    """In windows of 200 predictions that are ten minutes old."""
    found = of_labels(minutes([40] * 120 + [15] * 60))
    assert [(level, subject) for level, subject, _ in found] == [("suspected", SHARE), ("detected", SHARE)]
    assert all(130 <= minute <= 142 for _, _, minute in found)


def test_a_share_that_falls_by_little_is_not_spoken_of() -> None:
    """A fifth of itself is what matters by default, however sure it is."""
    assert of_labels(minutes([40] * 300 + [35] * 300)) == []


def test_a_minute_that_is_told_by_answer_is_one_minute() -> None:
    """Silence and shares are about all answers together: each is seen once, with both classes' counts."""
    parts = [Minute(start_ms=0, predictions=7, labelled=1, answer=0), Minute(start_ms=0, predictions=3, labelled=2)]
    made = Log()
    made.append(rows(np.zeros(1)), minutes=[*parts, Minute(start_ms=MINUTE_MS, predictions=1, labelled=0, answer=1)])
    _, observed, _ = observe(ObservingState(), made.records, {"v1": None})
    entries = observed.minutes
    told = zip(entries.start_ms.tolist(), entries.predictions.tolist(), entries.labelled.tolist(), strict=True)
    assert list(told) == [(0, 10, 3), (MINUTE_MS, 1, 0)]
