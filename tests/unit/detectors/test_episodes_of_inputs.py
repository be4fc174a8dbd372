"""To which episode an alarm about features or answers belongs."""

import json
import zlib

import numpy as np

from freshet.detectors.input_watch import InputWatchState
from freshet.detectors.parts.answers import AnswersDetector
from freshet.detectors.parts.psi import PsiDetector
from freshet.detectors.parts.stale import StaleDetector
from support.frames import ProfileLog


def test_a_silence_does_not_end_the_episode_of_another_detector() -> None:
    """A feature moves, and while it is suspected, partition 1 is told to be silent: the rest is the same episode."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(24_576, 3))
    rows[20_480:, 0] += 2.0
    log = ProfileLog(rate=512 / 3600, rows=512)  # a frame is an hour, a window two of them
    log.features(rows[:19_968])
    log.features(rng.normal(size=(1, 3)), partition=1)
    log.features(rows[19_968:])
    alarms = log.alarms(PsiDetector(), StaleDetector())
    told = [(one.detector, one.level) for one in alarms]
    assert told[:3] == [("psi", "suspected"), ("stale", "suspected"), ("psi", "detected")]
    assert alarms[2].test_to - alarms[0].test_to < PsiDetector().cool_down
    assert alarms[2].episode == alarms[0].episode


def test_answers_that_change_meanwhile_do_not_take_over_the_episode_of_features() -> None:
    """Features are suspected, answers are suspected, features are detected: the first and the last are one episode."""
    alarms = _both_change().alarms(PsiDetector(), AnswersDetector())
    features = [one for one in alarms if one.watched == "features"]
    assert [one.level for one in features] == ["suspected", "detected"]
    assert features[1].episode == features[0].episode
    assert all(one.episode != features[0].episode for one in alarms if one.watched == "answers")


def test_an_episode_goes_on_from_what_an_older_release_kept() -> None:
    """It kept the newest episode of all kinds: after an upgrade, an alarm in that cool-down still belongs to it."""
    log = _both_change()
    watch = log.watch(PsiDetector(), AnswersDetector())
    begun = next(at for at in range(len(log.frames)) if watch.fold(InputWatchState(), log.frames[:at])[1])
    state, (alarm,) = watch.fold(InputWatchState(), log.frames[:begun])
    values = json.loads(zlib.decompress(watch.dump(state)))
    values["episode"] = values.pop("episodes")[alarm.watched]
    _, alarms = watch.fold(watch.load(zlib.compress(json.dumps(values).encode())), log.frames[begun:])
    same = [one for one in alarms if one.watched == alarm.watched]
    assert same
    assert {one.episode for one in same} == {alarm.id}


def _both_change() -> ProfileLog:
    """A feature moves, and the answers with it, in turns of one window."""
    rng = np.random.default_rng(1)
    log = ProfileLog()
    log.features(rng.normal(size=(20_480, 3)))
    log.answers(rng.beta(2, 2, size=20_480))
    for _ in range(3):
        log.features(rng.normal(size=(1024, 3)) + np.array([2.0, 0, 0]))
        log.answers(rng.beta(8, 2, size=1024))
    return log
