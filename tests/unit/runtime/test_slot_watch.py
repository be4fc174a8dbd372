"""A fixed slot that serves on one machine is not taken away from it by another one."""

from typing import Any

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import WorkerState
from freshet.contracts.worker import Process
from freshet.runtime.bus.protocol import Send
from freshet.runtime.settings import SettingsError
from freshet.runtime.slot_watch import Beat, SlotWatch, judge
from support.loops import NAMES, Answerer, Stand

NAME = NAMES.worker("inference", "0")


def state(host: str = "a", **but: Any) -> WorkerState:
    """A record of slot 0, written on that host."""
    given: dict[str, Any] = {"instance": NAME, "service": "inference", "pipeline": "p", "interval_ms": 1_000, "pid": 7}
    return WorkerState(**given | {"host": host} | but)


def beat(host: str = "a", **but: Any) -> Beat:
    """The same with a time."""
    return Beat(state(host, **but), 5_000)


@pytest.mark.parametrize(
    ("before", "since", "watched_ms", "verdict"),
    [
        (None, None, 0, "free"),
        (beat("here"), None, 0, "free"),
        (beat(""), None, 0, "free"),
        (beat(leaving=True), None, 0, "free"),
        (beat(), None, 0, "watch"),
        (beat(), None, 2_499, "watch"),
        (beat(), None, 2_500, "free"),
        (beat(interval_ms=3_000), None, 7_499, "watch"),
        (beat(), beat(), 1, "taken"),
        (beat(), beat("b", pid=9), 1, "taken"),
        (beat(), beat(), 9_999, "taken"),
        (beat(), beat(leaving=True), 1, "free"),
        (beat(), beat("here"), 1, "free"),
    ],
)
def test_who_beats_while_we_watch_has_the_slot(
    before: Beat | None, since: Beat | None, watched_ms: int, verdict: str
) -> None:
    """Nobody there, gone in good order, or of our own host, where the lock has decided: no wait. Silent: it is ours."""
    assert judge(before, since, "here", watched_ms) == verdict


class Slots:
    """Slot 0 on the memory bus, with what others report of it."""

    def __init__(self) -> None:
        self.stand = Stand()
        self._producer = self.stand.bus.producer()

    def report(self, record: WorkerState) -> None:
        """Write it as the worker would."""
        self.stand.cluster.now_ms = self.stand.clock.now_ms()
        self._producer.send(Send("workers", [record.instance.encode()], [encode(record)]))

    def watch(self, host: str = "b") -> SlotWatch:
        """The watch of a process on that host."""
        return SlotWatch(self.stand.bus, self.stand.clock, name=NAME, slot="0", host=host)


def test_the_sentence_names_process_and_host_and_what_to_do() -> None:
    """Its age is by the broker's time against the newest record there: our own clock is not asked."""
    slots = Slots()
    slots.report(state())
    watch = slots.watch()
    assert not watch.free(0)
    assert not watch.free(0)
    assert watch.waits_for == "slot 0 was last that of process 7 on host a: does it still beat?"
    slots.stand.clock.advance(900)
    slots.report(state())
    slots.stand.clock.advance(2_000)
    slots.report(state().model_copy(update={"instance": NAMES.worker("inference", "1")}))
    slots.stand.clock.set_wall(0)
    with pytest.raises(
        SettingsError, match=r"slot 0 of inference on pipeline p is taken by process 7 on host a, "
    ) as e:
        watch.free(0)
    assert "which reported 2 s ago: choose another --slot or stop it." in str(e.value)


def test_a_silent_predecessor_is_watched_for_two_beats_and_a_half() -> None:
    """Nothing is fenced before that; then its successor serves."""
    slots = Slots()
    slots.report(state())
    watch = slots.watch()
    assert [watch.free(0), watch.free(0)] == [False, False]
    slots.stand.clock.advance(2_400)
    assert not watch.free(0)
    slots.stand.clock.advance(200)
    assert watch.free(0)
    assert not watch.waits_for


def test_other_slots_and_services_are_nobody_to_wait_for() -> None:
    """Their beats do not keep this slot taken."""
    slots = Slots()
    slots.report(state().model_copy(update={"instance": NAMES.worker("inference", "1")}))
    slots.report(state().model_copy(update={"instance": NAMES.worker("ingestion", "0")}))
    watch = slots.watch()
    assert not watch.free(0)
    assert watch.free(0)


def test_a_restart_in_place_never_waits() -> None:
    """Killed and started again on its host: the lock file was free, so there is nothing to find out."""
    slots = Slots()
    slots.report(state("b"))
    watch = slots.watch("b")
    assert not watch.free(0)
    assert watch.free(0)


def test_a_loop_that_finds_its_slot_taken_fences_nobody() -> None:
    """The first serves on, before and after the second was refused."""
    slots = Slots()
    stand = slots.stand
    first = stand.loop(Answerer())
    stand.feed(5)
    stand.turn(first)
    slots.report(state())
    second = stand.loop(Answerer(), process=Process(host="b"))
    stand.turn(second, times=3)
    assert second.unready() == "slot 0 was last that of process 7 on host a: does it still beat?"
    slots.report(state())
    with pytest.raises(SettingsError, match="is taken by process 7 on host a"):
        stand.turn(second, times=1)
    second.close()
    stand.feed(5)
    stand.turn(first)
    assert stand.answers() == stand.inputs()
