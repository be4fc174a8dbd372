"""What Faust delivers is held against the log, and what was said already is not said again."""

import pytest

from freshet.contracts.batch import Record
from freshet.drift.faust.already_said import AlreadySaid
from freshet.drift.faust.log_check import LogCheck
from freshet.runtime.bus.protocol import Place, Send
from freshet.runtime.reading import everything
from support.buses import MemoryWorld

LOG = Place("outcomes", 0)


class Checked:
    """A log of six records, and what the check said of a delivery."""

    def __init__(self) -> None:
        world = MemoryWorld()
        world.make_topics("outcomes", "alarms", partitions=1)
        self.bus = world.bus
        producer = self.bus.producer()
        producer.send(Send("outcomes", [None] * 6, [b"0", b"1", b"2", b"3", b"4", b"5"], [0] * 6))
        self.elapsed_s, self.left = 0.0, list[str]()
        self.check = LogCheck(self.bus, LOG, now_s=lambda: self.elapsed_s, leave=self.left.append)

    def records(self) -> list[Record]:
        """All of the log."""
        return [record for batch in everything(self.bus, "outcomes") for record in batch.records]

    def idle(self, position: int, seconds: float) -> None:
        """Nothing comes for so long."""
        until_s = self.elapsed_s + seconds
        while self.elapsed_s < until_s:
            self.elapsed_s += 1.0
            self.check.nothing_came(position)


def test_what_the_log_holds_may_be_used() -> None:
    """From where it is to go on, to the last record delivered."""
    here = Checked()
    here.check.compare(2, here.records()[2:5])
    assert here.left == []


@pytest.mark.parametrize("lost", [2, 3])
def test_a_record_that_was_left_out_ends_the_process(lost: int) -> None:
    """The first of those expected, or one between others: nothing in what was delivered shows it."""
    here = Checked()
    here.check.compare(2, [record for record in here.records()[2:5] if record.offset() != lost])
    assert here.left[0].startswith(f"Faust left out record {lost} of outcomes: ")


def test_a_record_that_the_log_does_not_hold_ends_the_process() -> None:
    """As those of aborted transactions, which only a read_uncommitted reader sees."""
    here, other = Checked(), Checked()
    other.bus.producer().send(Send("outcomes", [None], [b"6"], [0]))
    here.check.compare(4, other.records()[4:])
    assert here.left[0].startswith("Faust added record 6 of outcomes: ")


def test_a_record_with_other_bytes_ends_the_process() -> None:
    """Whatever may have done that."""
    here, other = Checked(), Checked()
    other.bus.producer().send(Send("outcomes", [None], [b"six"], [0]))
    here.bus.producer().send(Send("outcomes", [None], [b"6"], [0]))
    here.check.compare(6, other.records()[6:])
    assert here.left[0].startswith("Faust altered record 6 of outcomes: ")


def test_a_stall_ends_the_process() -> None:
    """The log holds a record for a minute that is not delivered; a log read to its end may rest for ever."""
    here = Checked()
    here.idle(6, 600)
    assert here.left == []
    here.idle(5, 50)
    assert here.left == []
    here.idle(5, 30)
    assert here.left[0] == "Faust does not deliver record 5 of outcomes, which the log has held for 60 s."


def test_what_lies_on_a_control_topic_is_not_said_again() -> None:
    """Neither what a process before us has written, nor what we have."""
    bus = Checked().bus
    bus.producer().send(Send("alarms", [b"p"], [b"one"]))
    said = AlreadySaid(bus)
    both = Send("alarms", [b"p", b"p"], [b"one", b"two"])
    assert said.unsaid(both).values == [b"two"]
    assert said.unsaid(both).values == []
    said.forget()
    assert said.unsaid(both).values == [b"two"], "it was never written"


def test_a_topic_of_the_pipeline_is_not_read_for_that() -> None:
    """It may be large."""
    send = Send("outcomes", [None], [b"5"], [0])
    assert AlreadySaid(Checked().bus).unsaid(send) is send
