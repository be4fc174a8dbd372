"""The core that detects: its alarms are those of one that nothing ever happened to."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pytest

from freshet.avro.control import encode
from freshet.contracts.logic import Fact
from freshet.detectors.observing import LogRecord
from freshet.drift.core.detect import DetectLogic
from freshet.runtime.bus.memory import STEPS, SimulatedCrash, Step
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.reading import everything
from support.detecting import KEPT, NAMES, Detecting
from support.labelled_log import Log, bernoulli, rows

JUMP = 1500


@cache
def log(number: int = 1) -> tuple[LogRecord, ...]:
    """An error that jumps in the middle, in three partitions; from there on under this specification."""
    made = Log(partitions=3)
    wrong = np.concatenate([bernoulli(1, JUMP, 0.1), bernoulli(2, JUMP, 0.6)])
    for at in range(0, len(wrong), 20):
        made.append(rows(wrong[at : at + 20], first=at), number=1 if at < JUMP else number)
    return tuple(made.records)


def detect(loop: DataLoop) -> DetectLogic:
    """The core that runs in it."""
    assert isinstance(loop.logic, DetectLogic)
    return loop.logic


def world(detectors: str = "", **metrics: float) -> Detecting:
    """One in which all that the log names is known."""
    made = Detecting()
    made.publish(detectors)
    made.admit("v1", **metrics)
    return made


def test_a_jump_of_the_error_is_suspected_and_then_detected() -> None:
    """By both detectors of errors, in one episode, with the place where it began."""
    made = world(accuracy=0.9)
    made.feed(log())
    made.turn(made.worker())
    alarms = made.alarms()
    told = [(alarm.detector, alarm.level) for alarm in alarms]
    assert sorted(told) == sorted((kind, level) for kind in ("adwin", "promise") for level in ("suspected", "detected"))
    assert {alarm.episode for alarm in alarms} == {alarms[0].id}
    for alarm in alarms:
        assert abs(alarm.test_from - JUMP) < 60
        assert alarm.cause == "world"
        assert set(alarm.since) <= {"0", "1", "2"}
        assert len(alarm.since) == 3 or alarm.level == "suspected"
        assert all(abs(offset - JUMP) < 90 for offset in alarm.since.values())


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at_commit", [1, 2, 3])
def test_a_crash_at_any_step_of_any_commit_loses_no_alarm_and_repeats_none(step: Step, at_commit: int) -> None:
    """State, alarms and offset are one transaction."""
    undisturbed = world()
    undisturbed.feed(log())
    undisturbed.turn(undisturbed.worker())
    made, seen = world(), 0
    made.feed(log())

    def crash(reached: Step, transactional_id: str) -> None:
        nonlocal seen
        seen += reached == step
        if reached == step and seen == at_commit:
            raise SimulatedCrash

    made.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        made.turn(made.worker(), times=20)
    made.cluster.failpoint = None
    made.turn(made.worker(), times=40)
    assert made.alarms() == undisturbed.alarms() != []


@pytest.mark.parametrize("keeps", ["checkpoint", "nothing"])
def test_lost_offsets_are_found_again_from_the_last_alarm(keeps: str) -> None:
    """The group was away too long for the broker: no alarm comes twice, whether a checkpoint is there or not."""
    undisturbed, made = world(), world()
    undisturbed.feed(log())
    undisturbed.turn(undisturbed.worker())
    first = made.worker()
    made.feed(log()[:-20])
    made.turn(first)
    first.close()
    assert made.alarms()
    made.group.lose_offsets()
    if keeps == "nothing":
        made.cluster.remake_topic(NAMES.topic(KEPT))
    made.feed(log()[-20:])
    made.turn(made.worker(), times=40)
    assert made.alarms() == undisturbed.alarms()


def test_a_log_made_anew_is_watched_from_its_beginning() -> None:
    """An alarm says of which log its place is: one in the old log says nothing of the new one's rows."""
    made = world()
    made.feed(log())
    first = made.worker()
    made.turn(first)
    first.close()
    told = len(made.alarms())
    made.cluster.remake_topic(NAMES.topic("outcomes"))
    made.feed(log())
    made.turn(made.worker(), times=40)
    again = made.alarms()[told:]
    assert [alarm.test_from for alarm in again] == [alarm.test_from for alarm in made.alarms()[:told]]
    assert {alarm.outcomes_topic for alarm in again} == {made.bus.topic_id("outcomes")}


def test_the_log_waits_for_what_its_next_record_names() -> None:
    """When a specification or a model is heard of may not decide what is found."""
    undisturbed, made = world(), Detecting()
    undisturbed.feed(log())
    undisturbed.turn(undisturbed.worker())
    made.feed(log())
    loop = made.worker()
    made.turn(loop)
    assert "specification 1" in (detect(loop).unready() or "")
    made.admit("v1")
    made.publish()
    made.turn(loop)
    assert detect(loop).unready() is None
    assert made.alarms() == undisturbed.alarms() != []


def strange(records: Sequence[LogRecord]) -> list[LogRecord]:
    """The same records, of which every second one holds answers of a version that never was: all of them wrong."""
    return [
        one._replace(record=one.record.model_copy(update={"versions": ("9.9.9",)})) if at % 2 else one
        for at, one in enumerate(records)
    ]


def test_answers_of_a_version_that_never_was_are_left_out() -> None:
    """A stranger wrote the predictions. Whoever has read the models topic to its end knows that; it is counted."""
    made = world()
    made.feed(strange(log()))
    loop = made.worker()
    made.turn(loop, times=40)
    logic = detect(loop)
    assert logic.unready() is None
    assert logic.measured() == {"unknown_models": 1}
    assert logic.state is not None
    assert (logic.state.observing.row, logic.state.observing.refused) == (len(log()) * 20, len(log()) * 10)
    alarms = made.alarms()
    assert {alarm.subject for alarm in alarms}
    loop.close()
    made.group.lose_offsets()
    made.cluster.remake_topic(NAMES.topic(KEPT))
    again = made.worker()
    made.turn(again, times=40)
    assert made.alarms() == alarms, "a successor that reads the log again leaves out the same rows"
    assert detect(again).unready() is None


def test_a_version_whose_record_is_read_late_is_no_stranger() -> None:
    """The models topic had it before anybody answered with it: it is read to its end before a row is left out."""
    undisturbed, made = world(), Detecting()
    undisturbed.feed(log())
    undisturbed.turn(undisturbed.worker())
    made.publish()
    loop = made.worker()
    made.turn(loop)
    read, held = loop._feed.facts, list[Fact]()

    def late(timeout_s: float = 0.0) -> Iterator[Fact]:
        held.extend(read(timeout_s))
        yield from held[:-1] if waits else held
        del held[: -1 if waits else None]

    waits = True
    loop._feed.facts = late  # type: ignore[method-assign]
    loop._feed.caught_up = lambda: not held  # type: ignore[method-assign]
    made.admit("v1")
    made.feed(log())
    made.turn(loop)
    assert "model version v1" in (loop.unready() or "")
    assert made.alarms() == []
    waits = False
    made.turn(loop, times=40)
    assert loop.unready() is None
    assert [alarm.id for alarm in made.alarms()] == [alarm.id for alarm in undisturbed.alarms()] != []


@pytest.mark.parametrize("early", [True, False])
def test_a_changed_parameter_holds_from_the_first_record_under_its_specification(early: bool) -> None:
    """Whether the detector heard of it long before, or only when it had to."""
    made = world("[{kind: adwin, delta: 0.05}]")
    loop = made.worker()
    if early:
        made.publish("[{kind: adwin}]", number=2)
    made.feed(log(2)[: JUMP // 20 + 2])
    made.turn(loop)
    made.publish("[{kind: adwin}]", number=2)
    made.feed(log(2)[JUMP // 20 + 2 :])
    made.turn(loop)
    state = detect(loop).state
    assert state is not None
    assert state.number == 2
    assert [part.start for part in state.parts.values()] == [JUMP]
    assert made.alarms() == []


def test_a_lost_record_stops_detection_with_a_reason() -> None:
    """Whatever is counted from then on would be wrong."""
    made = world()
    made.feed([*log()[:9], *log()[12:]])
    loop = made.worker()
    made.turn(loop)
    assert "rows 60 to 80 of partition 0 were lost" in (detect(loop).unready() or "")


def test_what_a_stranger_wrote_into_the_log_is_set_aside() -> None:
    """The same alarms come of the rest: a record of ours that is missing would show with the next."""
    undisturbed, made = world(), world()
    undisturbed.feed(log())
    undisturbed.turn(undisturbed.worker())
    loop, sound = made.worker(), encode(log()[0].record)
    strange: list[bytes | None] = [None, b"hello", sound[:-9], encode(log()[0].record.model_copy(update={"rows": 1}))]
    made.raw(*strange)
    made.feed(log())
    made.raw(*strange)
    made.turn(loop, times=20)
    assert loop.unready() is None
    assert [alarm.id for alarm in made.alarms()] == [alarm.id for alarm in undisturbed.alarms()] != []
    assert sum(map(len, everything(made.bus, "dead-letters"))) == 2 * len(strange)
