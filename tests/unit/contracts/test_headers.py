"""Headers as strangers write them: names that are not UTF-8, numbers that are none.

At a name that is not UTF-8 the client raises at the first call and hands out rubbish at the second.
"""

import numpy as np
import pytest

from freshet.contracts.batch import Batch, Headers, read_headers
from freshet.contracts.headers import passed, whole_number
from freshet.contracts.logic import DeadLetter
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload
from freshet.runtime.dead_letter_records import dead_letters


class Broken(MemoryRecord):
    """A message as confluent-kafka makes it of such a record."""

    calls = 0
    replaced: Headers | None = None

    def headers(self) -> Headers | None:
        """Raise once, then break whoever looks."""
        if self.replaced is not None:
            return self.replaced
        self.calls += 1
        assert self.calls == 1, "a second call hands out a null name"
        raise SystemError("returned NULL without setting an exception")

    def set_headers(self, headers: Headers) -> None:
        """As the client's."""
        self.replaced = headers


def broken() -> Broken:
    return Broken(At("loans.events", 0), 7, 1_000, Payload(b"ada", b"bad", None))


def test_it_is_said_once_and_never_asked_again() -> None:
    """The same answer at each call."""
    record = broken()
    assert list(read_headers(record)) == list(read_headers(record))
    assert [name for name, _ in read_headers(record)] == ["unreadable-headers"]


def test_such_an_event_becomes_a_dead_letter_and_passes_no_headers() -> None:
    """It used to end the service at every start."""
    batch, rows = Batch("events", [broken()]), np.array([0])
    assert passed(batch, rows) is None
    letter = dead_letters(batch, DeadLetter(rows, "input_framing", ["bad"]), TopicNames("", "loans"), "ingestion", "0")
    assert letter.values == [b"bad"]
    assert letter.headers is not None
    assert "unreadable-headers" in dict(letter.headers[0])


@pytest.mark.parametrize("headers", [None, [("a", b"1")]])
def test_other_headers_are_untouched(headers: Headers | None) -> None:
    """None is none."""
    assert list(read_headers(MemoryRecord(At("t", 0), 0, 0, Payload(None, None, headers)))) == list(headers or ())


@pytest.mark.parametrize(("text", "number"), [(b"0", 0), (b"0041", 41), (b"9223372036854775807", (1 << 63) - 1)])
def test_a_number_is_some_digits(text: bytes, number: int) -> None:
    """From 0 to what an int64 holds."""
    assert whole_number(text) == number


@pytest.mark.parametrize(
    "text",
    [None, b"", b"-1", b"+1", b" 1", b"1_0", b"1.0", b"9223372036854775808", b"0" * 20, b"1" * 4301, "١".encode()],
)
def test_anything_else_is_no_number(text: bytes | None) -> None:
    """What `int` would take, and where it would raise, included."""
    assert whole_number(text) is None
