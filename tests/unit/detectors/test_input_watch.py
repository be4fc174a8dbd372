"""When features and answers are called changed, whose doing it is, and how often it is told."""

import numpy as np
import pytest

from freshet.contracts.arrays import Floats
from freshet.contracts.errors import ContractError
from freshet.detectors.input_series import MOST_COLUMNS, TrainedOn
from freshet.detectors.input_watch import InputWatchState
from freshet.detectors.parts.answers import AnswersDetector
from freshet.detectors.parts.psi import PsiDetector
from freshet.detectors.parts.wasserstein import WassersteinDetector
from freshet.detectors.window_detector import passes
from support.frames import ProfileLog

DAY_S = 86_400


def normal(rows: int, columns: int = 3, seed: int = 1) -> Floats:
    """Rows that only chance tells apart."""
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_chance_is_told_by_nobody() -> None:
    """Ten features and answers of one distribution, under all detectors of the default."""
    log = ProfileLog()
    log.features(normal(60_000, 10))
    log.answers(np.random.default_rng(2).beta(2, 2, size=60_000))
    assert log.alarms() == []


def test_rows_that_depend_on_each_other_only_make_it_less_sensitive() -> None:
    """How much a window varies is learned from the windows of the reference, not from a table."""
    noise, rows = normal(60_000, 4), np.zeros((60_000, 4))
    for at in range(1, len(rows)):
        rows[at] = 0.7 * rows[at - 1] + 0.71 * noise[at]
    log = ProfileLog()
    log.features(rows)
    assert [alarm for alarm in log.alarms(PsiDetector()) if alarm.level == "detected"] == []


def test_one_cause_is_told_once_with_the_features_that_changed() -> None:
    """Two of five features move, and two detectors see it: one episode, one alarm of each level."""
    rows = normal(40_000, 5)
    rows[20_000:, [1, 3]] += [1.0, 2.0]
    log = ProfileLog()
    log.features(rows)
    alarms = log.alarms(PsiDetector(), WassersteinDetector())
    assert [alarm.level for alarm in alarms] == ["suspected", "detected"]
    assert {alarm.episode for alarm in alarms} == {alarms[0].id}
    sure = alarms[-1]
    assert (sure.subject, list(sure.attribution)) == ("f1, f3", ["f3", "f1"])
    assert "f3" in sure.text
    assert "f1" not in sure.text
    assert sum(sure.attribution.values()) == pytest.approx(1.0)
    assert (sure.cause, sure.watched, sure.since) == ("world", "features", {"0": sure.test_from})
    assert sure.reference_to <= 20_000 < sure.test_to


def test_what_came_of_a_change_is_the_new_reference() -> None:
    """A second change is told too, and going back is one."""
    rows = normal(80_000, 2)
    rows[25_000:50_000, 0] += 1.5
    log = ProfileLog()
    log.features(rows)
    sure = [alarm for alarm in log.alarms(PsiDetector()) if alarm.level == "detected"]
    assert [abs(alarm.test_from - at) < 3000 for alarm, at in zip(sure, (25_000, 50_000), strict=True)] == [True, True]


def test_a_day_like_the_day_before_is_no_change() -> None:
    """Once each hour has been seen: an hour is compared with the same one of days that are over, too."""
    days, per_day = 6, 24_000
    hours = np.arange(days * per_day) / per_day * 2 * np.pi
    rows = normal(days * per_day, 3) + np.sin(hours)[:, None]
    log = ProfileLog(rate=per_day / DAY_S)
    log.features(rows)
    alarms = log.alarms(PsiDetector())
    assert all(alarm.test_from < per_day for alarm in alarms), "a season that was seen is told again"
    rows[-per_day:, 1] += 1.5  # the last day is another one
    changed = ProfileLog(rate=per_day / DAY_S)
    changed.features(rows)
    assert [a.subject for a in changed.alarms(PsiDetector()) if a.test_from > (days - 2) * per_day][:1] == ["f1"]


def test_our_own_rollout_is_named() -> None:
    """Only answers of a new epoch have changed."""
    chance = np.random.default_rng(3)
    scores, epochs = chance.beta(2, 2, size=40_000), np.ones(40_000, np.int64)
    scores[20_000:] **= 0.3
    epochs[20_000:] = 2
    log = ProfileLog()
    log.answers(scores, epochs)
    alarms = log.alarms(AnswersDetector())
    assert {alarm.cause for alarm in alarms} == {"own_rollout"}
    assert all(2 in alarm.epochs for alarm in alarms)
    other = ProfileLog()
    other.answers(scores, np.ones(40_000, np.int64))
    assert {alarm.cause for alarm in other.alarms(AnswersDetector())} == {"world"}


def test_a_model_brings_the_rows_that_it_learned_from() -> None:
    """It learned from what came after a change: compared with that, nothing is new; with the first rows, all is."""
    rows = normal(60_000, 2)
    rows[20_000:, 0] += 0.45  # too little to be told at once
    log = ProfileLog()
    log.features(rows[:40_000])
    log.answers(np.full(1024, 0.5), version="2.0.0")
    log.features(rows[40_000:])
    detector = PsiDetector(effect=0.6)
    last_ms = max(frame.frame.last_ms for frame in log.frames)
    log.trained["2.0.0"] = TrainedOn(15_000, last_ms)
    watch = log.watch(detector)
    state, _ = watch.fold(InputWatchState(), log.frames)
    assert state.series["features"].learned[0].from_row > 20_000


def test_more_features_begin_anew() -> None:
    """Frames of a longer list of columns have edges of their own; the reference is learned of them."""
    log = ProfileLog()
    log.features(normal(20_000, 2))
    log.features(normal(20_000, 3) + 5.0, names=["f0", "f1", "f2"])
    assert log.alarms(PsiDetector()) == []


def test_a_frame_that_lacks_stops_the_comparison() -> None:
    """All counts after it would be wrong."""
    log = ProfileLog()
    log.features(normal(5000))
    with pytest.raises(ContractError, match="were lost before record 2"):
        log.watch().fold(InputWatchState(), [*log.frames[:1], *log.frames[2:]])
    with pytest.raises(ContractError, match="came twice"):
        log.watch().fold(InputWatchState(), [log.frames[0], log.frames[0]])


def test_of_many_columns_chance_finds_some() -> None:
    """Benjamini–Hochberg: the more columns, the smaller a lone probability must be."""
    chance = np.array([0.004, 0.5, 0.9, 0.03])
    assert passes(chance[:1], 0.01).tolist() == [True]
    assert passes(chance, 0.01).tolist() == [False] * 4
    assert passes(np.array([0.004, 0.005, 0.9, 0.0075]), 0.01).tolist() == [True, True, False, True]


@pytest.mark.parametrize("columns", [50, 150, MOST_COLUMNS])
def test_what_is_remembered_of_a_wide_pipeline_fits_into_one_record(columns: int) -> None:
    """After eight days, weekend included, in which every hour was seen."""
    frames = 8 * 24
    log = ProfileLog(rate=128 / 3600, rows=128)
    log.features(normal(frames * 128, columns))
    watch = log.watch(window=128, reference=40)
    state, _ = watch.fold(InputWatchState(), log.frames)
    assert len(state.series["features"].usual) >= 6
    assert len(watch.dump(state)) < 900_000


def test_a_pipeline_that_is_too_wide_is_not_compared() -> None:
    """Its frames are counted, and nothing of them is remembered."""
    log = ProfileLog(rows=128)
    log.features(normal(1024, MOST_COLUMNS + 1))
    state, alarms = log.watch().fold(InputWatchState(), log.frames)
    assert (state.series["features"].row, state.series["features"].names, alarms) == (1024, (), [])


def test_edges_that_change_begin_anew() -> None:
    """Bins between other edges cannot be added: not inside a window, and not to the reference."""
    log, rows = ProfileLog(rows=400), normal(20_000, 2)
    log.features(rows[:5_000])
    log._chosen.clear()
    log.features(rows[5_000:] * 100)
    assert log.alarms(PsiDetector()) == []


def test_models_that_come_again_and_again_blind_nobody() -> None:
    """Each brings the rows that it learned from, fewer than a reference is otherwise made of: these are compared."""
    rows = normal(60_000, 3)
    rows[30_000:, 0] += 2.0
    log = ProfileLog()
    for at in range(0, 60_000, 4 * 1024):
        log.features(rows[at : at + 4 * 1024])
        version = f"1.{at}.0"
        log.answers(np.full(1024, 0.5), version=version)
        log.trained[version] = TrainedOn(
            5 * 1024, max(frame.frame.last_ms for frame in log.frames) if at < 30_000 else 0
        )
    assert "detected" in [alarm.level for alarm in log.alarms(PsiDetector())]


def test_a_change_within_the_cool_down_of_another_is_told_behind_it() -> None:
    """It is not learned as usual before anybody has heard of it."""
    rows = normal(12_000, 2)
    rows[3_000:3_900, 0] += 3.0
    rows[3_900:, 0] -= 3.0
    log = ProfileLog(rows=100)
    log.features(rows)
    sure = [a for a in log.alarms(PsiDetector(), window=100, reference=5) if a.level == "detected"]
    assert len(sure) >= 2
    assert sure[0].test_to < 3_900
    assert sure[1].test_to > sure[0].test_to + PsiDetector().cool_down
