"""Dead letters are compared with their records byte for byte, and places that cannot exist are told apart."""

from hashlib import sha256

import numpy as np
import pytest

from freshet.contracts.batch import Batch, Headers
from freshet.operate.verify.letters import LetterReader
from freshet.operate.verify.places import NOWHERE, identity, offsets_of, partitions_of, place
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload

KEY, VALUE = b"card", b"0123456789" * 1000


def compared(key: bytes | None, value: bytes | None, *more: tuple[str, bytes], origin: bytes = b"7") -> list[int]:
    """1 if a letter with these bytes is found to hold others than its record, -1 if nothing could be compared."""
    said: Headers = [("freshet.role", b"events"), ("freshet.partition", b"0"), ("freshet.offset", origin), *more]
    reader = LetterReader(dict.fromkeys(("events", "feedback", "features"), "A" * 22))
    reader.add(Batch("dead-letters", [MemoryRecord(At("d", 0), 0, 0, Payload(key, value, said))]))
    comparison = reader.compared("events")
    events = Batch("events", [MemoryRecord(At("e", 0), 7, 0, Payload(KEY, VALUE))])
    comparison.add(events, identity(events.partitions, events.offsets))
    return [int(other) for other in comparison.letters.others]


def cut(of: bytes) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    """The headers of a letter that keeps the beginning of these bytes."""
    return ("freshet.truncated", str(len(of)).encode()), ("freshet.sha256", sha256(of).hexdigest().encode())


def test_the_same_bytes_are_the_same() -> None:
    """Whole, or the beginning with the digest of the whole."""
    assert compared(KEY, VALUE) == [0]
    assert compared(KEY, VALUE[:4096], *cut(VALUE)) == [0]


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"other", VALUE, ()),
        (None, VALUE, ()),
        (KEY, VALUE[:4096], ()),  # cut, and it does not say so
        (KEY, VALUE[:4096], cut(VALUE + b"!")),  # the same beginning of another record
        (KEY, b"x" + VALUE[1:4096], cut(VALUE)),
        (KEY, VALUE[:4096], (("freshet.truncated", b"10000"),)),  # cut, without a digest
    ],
)
def test_other_bytes_are_found(key: bytes | None, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> None:
    """Whatever of it differs."""
    assert compared(key, value, *headers) == [1]


def test_what_stands_for_a_range_or_for_nothing_at_hand_is_not_compared() -> None:
    """Expired records have no bytes; what names an offset that does not fit 64 bits is nobody's letter."""
    assert compared(None, b"", ("freshet.reason", b"input_expired")) == [-1]
    assert compared(KEY, VALUE, origin=b"99999999999999999999999") == []


def test_a_place_that_no_topic_has_is_nowhere() -> None:
    """Negative numbers must not turn into the place of another record."""
    wrong = identity(np.array([-1, 0, 0, 1 << 20]), np.array([3, -1, 1 << 50, 3]))
    assert wrong.tolist() == [NOWHERE] * 4
    assert place(NOWHERE) == "nowhere"
    right = identity(np.array([0, 5]), np.array([0, (1 << 44) - 1]))
    assert (partitions_of(right).tolist(), offsets_of(right).tolist()) == ([0, 5], [0, (1 << 44) - 1])
