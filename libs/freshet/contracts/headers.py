"""The Kafka headers that Freshet gives a meaning, or hands on."""

from typing import Final

from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch, Headers, read_headers

REDRIVE_OF: Final = "redrive_of"
"""On an event that was set aside and is published once more: topic/partition/offset of the first one."""
ARRIVED_MS: Final = "redrive_arrived_ms"
"""On the same event: when the first one arrived, by the broker's clock. Its age counts from then."""

MAX_BYTES: Final = 4096
"""Most bytes of names and values that are handed on. Longer headers are dropped, so no record grows too large."""

_TRACE: Final = frozenset({"traceparent", "tracestate"})
_CLOUD_EVENTS: Final = "ce_"
_MOST_DIGITS: Final = 19
_INT64_MAX: Final = (1 << 63) - 1


def arrived_ms(headers: Headers | None) -> int | None:
    """When the event that this one repeats had arrived; None if it repeats none, or does not say."""
    found = dict(headers or ())
    return whole_number(found.get(ARRIVED_MS)) if found.get(REDRIVE_OF) else None


def whole_number(text: bytes | None) -> int | None:
    """The number that a header's 1 to 19 ASCII digits say, from 0 to the largest int64; None for anything else.

    Anybody may write a header. `int` alone takes signs, spaces and underscores, and raises from 4,301 digits on.
    """
    if text is None or len(text) > _MOST_DIGITS or not text.isdigit():
        return None
    number = int(text)
    return number if number <= _INT64_MAX else None


def passed(batch: Batch, rows: Ints) -> list[Headers] | None:
    """What each of these rows hands on to its feature vector and prediction, where a pipeline says `headers: pass`.

    W3C's trace context and CloudEvents' attributes, in the producer's order. None if no row has any, which is cheaper
    to publish.
    """
    found = [_passed(read_headers(batch.records[row])) for row in rows.tolist()]
    return found if any(found) else None


def _passed(headers: Headers) -> Headers:
    if not headers:
        return ()
    kept = [(name, value) for name, value in headers if name in _TRACE or name.startswith(_CLOUD_EVENTS)]
    size_bytes = sum(len(name.encode()) + len(value or b"") for name, value in kept)
    return kept if size_bytes <= MAX_BYTES else ()
