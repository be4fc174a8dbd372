"""Which of an event's headers reach its feature vector and its prediction, where a pipeline says `headers: pass`."""

from typing import Final

from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch, Headers, read_headers

MAX_BYTES: Final = 4096
"""Of names and values together: a record whose headers are longer goes on without them, and never becomes too large."""

_TRACE: Final = frozenset({"traceparent", "tracestate"})
_CLOUD_EVENTS: Final = "ce_"


def passed(batch: Batch, rows: Ints) -> list[Headers] | None:
    """What these rows hand on: W3C's trace context and CloudEvents' attributes, in the producer's order.

    None if none of them has any, which is cheaper to publish.
    """
    found = [_passed(read_headers(batch.records[row])) for row in rows.tolist()]
    return found if any(found) else None


def _passed(headers: Headers | None) -> Headers:
    if not headers:
        return ()
    kept = [(name, value) for name, value in headers if name in _TRACE or name.startswith(_CLOUD_EVENTS)]
    size_bytes = sum(len(name.encode()) + len(value or b"") for name, value in kept)
    return kept if size_bytes <= MAX_BYTES else ()
