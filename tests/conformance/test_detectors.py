"""What every detector must be, whoever wrote it: one suite over all that the catalogue finds."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freshet.contracts.messages import Alarm, Minute
from freshet.detectors.detector import Detector, Finding, Observed
from freshet.detectors.observing import LogRecord, ObservingState, observe
from freshet.detectors.watch import Watch
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.pipeline.catalogue import detectors
from support.labelled_log import START_MS, Log, bernoulli, rows, value_rows

MINUTE_MS = 60_000
PROMISES = {"v1": None, "v2": 0.1}

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "adwin": [{}, {"delta": 0.05, "block": 16}],
    "labels": [{"silence": "5m", "age": "10m", "cool_down": 0}],
    "promise": [{}, {"rise": 0.05, "every": 1e4, "learn": 50, "block": 16}],
}
"""Parameters to try for each kind, each of which finds something in `log`. A new detector adds a line here."""


def cases() -> list[Detector]:
    """Each example, as pipeline.yaml would name it."""
    return [detectors().find(kind)(**example) for kind, examples in EXAMPLES.items() for example in examples]


every_case = pytest.mark.parametrize("detector", cases(), ids=lambda case: case.kind)


@cache
def log() -> tuple[LogRecord, ...]:
    """Two versions, an error that jumps twice, labels that come for fewer predictions and then no more."""
    made = Log(partitions=3)
    wrong = np.concatenate([bernoulli(1, 3000, 0.1), bernoulli(2, 3000, 0.5), bernoulli(3, 3000, 0.9)])
    for at in range(0, len(wrong), 60):
        version, epoch = ("v1", 1) if at < 2000 else ("v2", 2)
        some = rows(wrong[at : at + 60], first=at, version=version, epoch=np.full(60, epoch))
        now_ms = START_MS + at // 60 * MINUTE_MS
        some = OutcomeRows(some.versions, **_columns(some) | {"labelled_ms": np.full(60, now_ms)})
        asked = 60 if at < 6000 else 120
        made.append(some, at_ms=now_ms, minutes=[Minute(start_ms=now_ms, predictions=asked, labelled=60)])
    for after in range(30):
        now_ms = START_MS + (150 + after) * MINUTE_MS
        made.append(rows([]), at_ms=now_ms, minutes=[Minute(start_ms=now_ms, predictions=60, labelled=0)])
    return tuple(made.records)


def _columns(some: OutcomeRows) -> dict[str, Any]:
    return {name: getattr(some, name) for name in OutcomeRows.__dataclass_fields__ if name != "versions"}


@cache
def observed() -> Observed:
    """What detectors see of it."""
    return observe(ObservingState(), log(), PROMISES)[1]


def found(detector: Detector, cuts: Sequence[int] = (), *, kept: bool = False) -> list[Finding]:
    """All that it finds, with the rows cut there; and, if so wanted, its state dumped and loaded at each cut."""
    everything, state, findings = observed(), detector.begin(0), list[Finding]()
    for first, end in zip([0, *cuts], [*cuts, 10**9], strict=True):
        minutes = (everything.minutes.row >= first) & (everything.minutes.row < end)
        inside = (everything.row >= first) & (everything.row < end)
        state, more = detector.rows(state, everything.take(inside, minutes))
        findings += more
        if kept:
            state = detector.load(detector.dump(state))
    return findings


def alarms(detector: Detector, records: Sequence[LogRecord], cuts: Sequence[int] = ()) -> list[Alarm]:
    """All alarms, with the records cut there and the state dumped and loaded."""
    watch = Watch("p", {1: (detector,)}, PROMISES)
    state, raised = watch.load(watch.dump(_first())), list[Alarm]()
    for first, end in zip([0, *cuts], [*cuts, len(records)], strict=True):
        state, more = watch.fold(state, records[first:end])
        raised += more
        assert watch.dump(watch.load(watch.dump(state))) == watch.dump(state)
        state = watch.load(watch.dump(state))
    return raised


def _first() -> Any:
    from freshet.detectors.watch import WatchState  # noqa: PLC0415

    return WatchState()


def test_every_detector_is_tried() -> None:
    """A detector without an example would pass this suite unseen."""
    assert set(EXAMPLES) == set(detectors().kinds())


@every_case
def test_it_finds_what_is_there(detector: Detector) -> None:
    """Otherwise all that follows holds of nothing. Findings come in order, and name rows that were seen by then."""
    findings = found(detector)
    assert {finding.level for finding in findings} == {"suspected", "detected"}
    ends = [finding.test[1] for finding in findings]
    assert ends == sorted(ends)
    for finding in findings:
        assert 0 <= finding.state_from <= finding.reference[0] <= finding.reference[1] <= finding.test[0]
        assert finding.test[0] <= finding.test[1] <= 9000
        assert np.isfinite([finding.statistic, finding.threshold, finding.effect]).all()
        assert finding.text.endswith(".")


@every_case
@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, 9000), max_size=8).map(sorted))
def test_where_rows_are_cut_makes_no_difference(detector: Detector, cuts: list[int]) -> None:
    """Nor does it that the state is written and read at each cut."""
    assert found(detector, cuts) == found(detector)
    assert found(detector, cuts, kept=True) == found(detector)


@every_case
def test_a_step_never_changes_the_state_that_it_is_given(detector: Detector) -> None:
    """A step that was not committed never was."""
    everything = observed()
    half = everything.row < 4500
    state, _ = detector.rows(detector.begin(0), everything.take(half, everything.minutes.row < 4500))
    before = detector.dump(state)
    rest = everything.take(~half, everything.minutes.row >= 4500)
    once = detector.dump(detector.rows(state, rest)[0])
    assert detector.dump(state) == before
    assert detector.dump(detector.rows(state, rest)[0]) == once


@every_case
@settings(deadline=None, max_examples=10)
@given(cuts=st.lists(st.integers(0, 180), max_size=6).map(sorted))
def test_the_same_log_raises_the_same_alarms(detector: Detector, cuts: list[int]) -> None:
    """With the same ids, episodes and offsets, however its records are read."""
    raised = alarms(detector, log())
    assert raised
    assert alarms(detector, log(), cuts) == raised
    assert len({alarm.id for alarm in raised}) == len(raised)


@every_case
def test_no_number_never_reaches_a_detector(detector: Detector) -> None:
    """Rows without a truth or score are as if they were not there."""
    sizes = np.concatenate([bernoulli(1, 4000, 0.2) + 0.1, bernoulli(2, 2000, 0.8) * 3 + 0.1])
    clean, spoilt = Log(), Log()
    for at in range(0, len(sizes), 100):
        clean.append(value_rows(sizes[at : at + 100]))
        spoilt.append(value_rows(sizes[at : at + 100]))
        spoilt.append(value_rows(np.array([np.nan, np.inf])))
    watch, states = Watch("p", {1: (detector,)}, PROMISES), []
    for made in (clean, spoilt):
        state, raised = watch.fold(_first(), made.records)
        assert state.observing.refused == (0 if made is clean else 120)
        states.append([(alarm.level, alarm.statistic) for alarm in raised])
    assert states[0] == states[1]


@every_case
def test_parameters_are_text_for_alarms(detector: Detector) -> None:
    """From which the same detector is made; and what decides how much it takes is one of them."""
    assert type(detector).model_validate_strings(detector.parameters) == detector
    assert detector.threshold_field in detector.parameters
    assert detector.sensitivity.endswith("."), "the field of its threshold has no sentence that says what it is"
    assert "kind" not in detector.parameters
