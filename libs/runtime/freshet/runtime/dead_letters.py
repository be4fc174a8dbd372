"""Dead letters: the original bytes untouched, the context in headers, on the input's partition number."""

import hashlib
from collections.abc import Sequence
from typing import Final

from freshet.contracts.batch import Batch, Headers
from freshet.contracts.logic import DeadLetter
from freshet.contracts.topics import TopicNames, topic_table
from freshet.runtime.bus import Place, Send

_CONTEXT: Final = "freshet."
_REDRIVEN: Final = "freshet.redriven"
ROLE: Final = "dead-letters"
_DETAIL_BYTES: Final = 512
_KEPT_BYTES: Final = 4096
# what headers and the record's own framing may need beside key and value
_CONTEXT_BYTES: Final = 4096


def dead_letters(batch: Batch, effect: DeadLetter, names: TopicNames, service: str, version: str) -> Send:
    """The records that set these rows of the batch aside.

    A record too large for the dead-letter topic keeps its first 4 KiB, its length and its sha256, so that it can always
    be written.
    """
    cap = (topic_table()[ROLE].max_message_bytes or 0) - _CONTEXT_BYTES
    keys, values, partitions, headers = [], [], [], []
    common = (
        ("freshet.reason", effect.reason.encode()),
        ("freshet.role", batch.role.encode()),
        ("freshet.topic", names.topic(batch.role).encode()),
        ("freshet.service", service.encode()),
        ("freshet.version", version.encode()),
    )
    for row, detail in zip(effect.rows.tolist(), effect.details, strict=True):
        record = batch.records[row]
        key, value = record.key(), record.value()
        context: list[tuple[str, bytes]] = [
            *common,
            ("freshet.detail", _clipped(detail)),
            ("freshet.partition", str(record.partition()).encode()),
            ("freshet.offset", str(record.offset()).encode()),
            ("freshet.timestamp_ms", str(record.timestamp()[1]).encode()),
        ]
        if effect.schema_id is not None:
            context.append(("freshet.schema_id", str(effect.schema_id).encode()))
        if len(key or b"") + len(value or b"") > cap:
            context += _fingerprint(value or b"")
            value = (value or b"")[:_KEPT_BYTES]
            key = (key or b"")[:_KEPT_BYTES]
        keys.append(key)
        values.append(value)
        partitions.append(record.partition())
        headers.append(context)
    return Send(ROLE, keys, values, partitions, headers)


def expired_letter(place: Place, low: int, detail: str) -> Send:
    """The record that stands for all that retention deleted below `low` before it was read."""
    context = [
        ("freshet.reason", b"input_expired"),
        ("freshet.role", place.role.encode()),
        ("freshet.partition", str(place.partition).encode()),
        ("freshet.offset", str(low - 1).encode()),
        ("freshet.detail", detail.encode()),
    ]
    return Send(ROLE, [None], [b""], [place.partition], [context])


def origin(headers: Headers | None) -> tuple[str, int, int] | None:
    """Role, partition and offset of the record that a dead letter stands for.

    None if the headers do not say, whatever they hold: anybody may write to the topic.
    """
    found = {name: value for name, value in headers or () if value is not None}
    try:
        return (
            found["freshet.role"].decode(),
            int(found["freshet.partition"]),
            int(found["freshet.offset"]),
        )
    except (KeyError, ValueError):
        return None


def is_context(header: str) -> bool:
    """Whether a header of a dead letter is ours, and not one that the record came with."""
    return header.startswith(_CONTEXT)


def receipts(originals: Sequence[str], partitions: Sequence[int]) -> Send:
    """Notes on the dead-letters topic that these records, each topic/partition/offset, were published once more."""
    n = len(originals)
    return Send(ROLE, [None] * n, [b""] * n, partitions, [[(_REDRIVEN, original.encode())] for original in originals])


def receipt_of(headers: Headers | None) -> str | None:
    """The record whose redrive this record of the dead-letters topic notes; None for a dead letter."""
    for name, value in headers or ():
        if name == _REDRIVEN and value is not None:
            return value.decode(errors="replace")
    return None


def _clipped(detail: str) -> bytes:
    return detail.encode()[:_DETAIL_BYTES].decode(errors="ignore").encode()


def _fingerprint(value: bytes) -> list[tuple[str, bytes]]:
    return [
        ("freshet.truncated", str(len(value)).encode()),
        ("freshet.sha256", hashlib.sha256(value).hexdigest().encode()),
    ]
