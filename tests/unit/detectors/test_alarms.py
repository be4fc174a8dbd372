"""What is told of findings: whose doing it is, which episode it belongs to, and where in features it began."""

import numpy as np
import pytest

from freshet.contracts.messages import Alarm
from freshet.detectors.alarm_of_finding import KEPT, alarm_id
from freshet.detectors.detector import Finding
from freshet.detectors.observing import promise_of
from freshet.detectors.parts.adwin import AdwinDetector
from freshet.detectors.watch import Watch, WatchState
from freshet.outcomes.outcome_rows import FIRST, KNOWN_BEFORE
from support.labelled_log import Log, bernoulli, persistent, rows, value_rows
from support.models import linear, manifest_of


def alarms(log: Log, *detectors: AdwinDetector) -> list[Alarm]:
    """All alarms of a log."""
    watch = Watch("p", {1: detectors or (AdwinDetector(),)}, {"v1": None})
    return watch.fold(WatchState(), log.records)[1]


def jump(epochs: np.ndarray, *, after: int = 800) -> Log:
    """2,000 rows of few errors, then so many of many; with these epochs."""
    wrong, log = np.concatenate([bernoulli(1, 2000, 0.1), bernoulli(2, after, 0.5)]), Log()
    for at in range(0, len(wrong), 100):
        log.append(rows(wrong[at : at + 100], first=at, epoch=epochs[at : at + 100]))
    return log


ROW = np.arange(2800)


@pytest.mark.parametrize(
    ("epochs", "cause"),
    [
        (np.ones(2800, np.int64), "world"),
        (np.where(ROW < 2000, 1, 2), "own_rollout"),
        ((ROW + 100) // 250, "world"),
    ],
    ids=["one-epoch", "a-publish-at-the-change", "a-publish-every-250-rows"],
)
def test_the_cause_is_our_rollout_where_only_its_rows_got_worse(epochs: np.ndarray, cause: str) -> None:
    """A line that publishes all the time has new epochs in every window: its old rows tell that the world changed."""
    assert {alarm.cause for alarm in alarms(jump(epochs)) if alarm.level == "detected"} == {cause}


def test_a_bad_version_beside_a_good_one_is_our_rollout() -> None:
    """Half of the rows behind the change are of the epoch before, and as right as they were."""
    draw, log = np.random.default_rng(3), Log()
    for at in range(0, 4000, 100):
        epoch = 1 + (draw.random(100) < (0.5 if at >= 2000 else 0)).astype(np.int64)
        wrong = (draw.random(100) < np.where(epoch == 2, 0.7, 0.1)).astype(np.float64)
        log.append(rows(wrong, first=at, epoch=epoch))
    (_, detected, *_) = alarms(log)
    assert detected.cause == "own_rollout"
    assert detected.epochs == (1, 2)
    assert detected.attribution["epoch 2"] > 0.8


def test_the_alarm_names_the_first_features_of_the_change_by_partition() -> None:
    """As the log has them."""
    wrong, log = np.concatenate([bernoulli(1, 2000, 0.1), bernoulli(2, 800, 0.6)]), Log(partitions=2)
    for at in range(0, 2800, 100):
        log.append(rows(wrong[at : at + 100], first=at, features_offset=7000 + np.arange(at, at + 100)))
    (_, detected) = alarms(log)
    since = {int(number): at - 7000 for number, at in detected.since.items()}
    assert min(since.values()) == detected.test_from
    assert all(at - detected.test_from <= 100 for at in since.values())


def test_one_cause_is_one_episode_and_told_once_in_its_cool_down() -> None:
    """Errors in runs raise suspicions all the time."""
    log = Log()
    log.errors(persistent(4, 20_000, 0.2, 0.9))
    eager, calm = alarms(log, AdwinDetector(cool_down=0)), alarms(log)
    assert len(calm) < len(eager) / 3
    for level in ("suspected", "detected"):
        ends = [alarm.test_to for alarm in calm if alarm.level == level]
        assert min(np.diff(ends)) >= 2000
    first = {alarm.episode: alarm.id for alarm in reversed(calm)}
    assert all(episode == number for episode, number in first.items())
    assert 1 < len(first) < len(calm)


def test_a_change_three_times_as_large_as_the_last_one_is_told_within_the_cool_down() -> None:
    """The detector has begun anew behind the small one: nothing else would ever speak of the large one."""
    log = Log()
    log.errors(np.concatenate([bernoulli(1, 3000, 0.05), bernoulli(2, 700, 0.2), bernoulli(3, 1500, 0.8)]))
    detected = [alarm for alarm in alarms(log) if alarm.level == "detected"]
    assert len(detected) == 2
    small, large = detected
    assert large.test_to < small.test_to + AdwinDetector().cool_down
    assert large.effect > 3 * small.effect
    assert large.episode == small.episode


def test_what_measures_nothing_is_not_watched() -> None:
    """Labels that were known before, and corrections."""
    log = Log()
    for at in range(0, 4000, 100):
        log.append(rows(bernoulli(at, 100, 0.1)))
        if at >= 2000:
            log.append(rows(np.ones(100), flags=np.full(100, FIRST | KNOWN_BEFORE)))
            log.append(rows(np.ones(100), flags=np.full(100, 2)))
    assert alarms(log) == []


def test_a_regression_is_watched_on_its_own_scale() -> None:
    """Errors of millions, of which the first 500 rows tell what is usual."""
    draw, log = np.random.default_rng(1), Log()
    sizes = np.abs(np.concatenate([draw.normal(0, 1e6, 3000), draw.normal(0, 3e6, 1000)]))
    for at in range(0, 4000, 100):
        log.append(value_rows(sizes[at : at + 100], first=at))
    (suspected, *_) = alarms(log)
    assert abs(suspected.test_from - 3000) < 60
    small, watched = Log(), Watch("p", {1: (AdwinDetector(),)}, {"v1": None})
    for at in range(0, 4000, 100):
        small.append(value_rows(sizes[at : at + 100] / 2**20, first=at))
    assert [one.id for one in watched.fold(WatchState(), small.records)[1]] == [one.id for one in alarms(log)]


def test_a_window_that_is_longer_than_what_is_kept_is_told_by_its_newest_rows() -> None:
    """So batches make no difference."""
    watch, log = Watch("p", {1: (AdwinDetector(delta=1e-12),)}, {"v1": None}), Log(partitions=3)
    log.errors(np.concatenate([bernoulli(1, 3 * KEPT, 0.1), bernoulli(2, 2000, 0.9)]), size=500)
    whole, state, piecewise = watch.fold(WatchState(), log.records)[1], WatchState(), list[Alarm]()
    for record in log.records:
        state, more = watch.fold(state, [record])
        piecewise += more
    assert piecewise == whole != []


def test_an_id_follows_from_what_was_found_with_what() -> None:
    """And from nothing else, such as the sentence."""

    def of(**changes: object) -> str:
        finding = Finding("detected", "s", 1.0, 0.5, 0.5, (0, 10), (10, 20), 3, 0, "t")
        parts = {name: getattr(finding, name) for name in Finding.__dataclass_fields__} | changes
        return alarm_id("p", AdwinDetector(), Finding(**parts))

    assert of() == of(text="u", statistic=2.0, offset=4, reference=(1, 2))
    different = {of(), of(level="suspected"), of(subject="u"), of(test=(10, 21)), of(state_from=1)}
    assert len(different) == 5
    assert alarm_id(
        "p", AdwinDetector(delta=0.01), Finding("detected", "s", 1, 1, 1, (0, 10), (10, 20), 3, 0, "t")
    ) not in (different)


@pytest.mark.parametrize(
    ("metrics", "promise"),
    [
        ({"accuracy": 0.75}, 0.25),
        ({"error": 0.2, "accuracy": 0.75}, 0.2),
        ({"candidate.accuracy": 0.875, "champion.accuracy": 0.5, "candidate.log_loss": 0.3}, 0.125),
        ({"champion.accuracy": 0.5}, None),
    ],
)
def test_a_model_promises_what_was_measured_on_rows_that_it_had_not_learned_from(
    metrics: dict[str, float], promise: float | None
) -> None:
    """Whoever packed it says so, and retraining does, under a name of its own."""
    assert promise_of(manifest_of(linear()).model_copy(update={"metrics": metrics})) == promise
