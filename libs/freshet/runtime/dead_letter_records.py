"""Dead letters: the original bytes untouched, the context in headers, on the input's partition number."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from freshet.contracts.batch import Batch, Headers, Record, read_headers
from freshet.contracts.headers import whole_number
from freshet.contracts.logic import DeadLetter
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.runtime.bus.protocol import Place, Send
from freshet.runtime.record_size import lone_batch_bytes

_CONTEXT: Final = "freshet."
_REDRIVEN: Final = "freshet.redriven"
_PRODUCERS: Final = "original."
"""Put before a producer's header whose name begins like ours; and once more where a name has this prefix already."""
_LIKE_OURS: Final = re.compile(f"(?:{re.escape(_PRODUCERS)})*{re.escape(_CONTEXT)}")
_TOPIC_ID: Final = "freshet.topic_id"
MODEL_VERSION: Final = "freshet.model_version"
"""The model version that had no answer; only where one was asked."""
ROLE: Final = "dead-letters"
CAP_BYTES: Final = topic_table()[ROLE].max_message_bytes or 0
"""What the topic takes if nobody altered it."""
_DETAIL_BYTES: Final = 512
_KEPT_BYTES: Final = 4096


def dead_letters(
    batch: Batch,
    effect: DeadLetter,
    names: TopicNames,
    service: str,
    version: str,
    *,
    topic_id: str = "",
    cap_bytes: int = CAP_BYTES,
) -> Send:
    """The records that set these rows of the batch aside: the producer's headers first, then ours.

    `topic_id` is that of the topic they were read from.

    A record that would be larger than `cap_bytes` keeps the first 4 KiB of its key, value and headers each, the length
    and the sha256 of its value; if that is still too large, only our headers.
    """
    keys, values, partitions, headers = [], [], [], []
    common = (
        ("freshet.reason", effect.reason.encode()),
        ("freshet.role", batch.role.encode()),
        ("freshet.topic", names.topic(batch.role).encode()),
        (_TOPIC_ID, topic_id.encode()),
        ("freshet.service", service.encode()),
        ("freshet.version", version.encode()),
        *([(MODEL_VERSION, effect.model_version.encode())] if effect.model_version else []),
    )
    for row, detail in zip(effect.rows.tolist(), effect.details, strict=True):
        record = batch.records[row]
        context: list[tuple[str, bytes | None]] = [
            *common,
            ("freshet.detail", _clipped(detail)),
            ("freshet.partition", str(record.partition()).encode()),
            ("freshet.offset", str(record.offset()).encode()),
            ("freshet.timestamp_ms", str(record.timestamp()[1]).encode()),
        ]
        if effect.schema_id is not None:
            context.append(("freshet.schema_id", str(effect.schema_id).encode()))
        key, value, told = _fitting(record, context, cap_bytes)
        keys.append(key)
        values.append(value)
        partitions.append(record.partition())
        headers.append(told)
    return Send(ROLE, keys, values, partitions, headers)


def producers_headers(headers: Headers | None) -> list[tuple[str, bytes | None]]:
    """The headers that the record of a dead letter came with, as far as they were kept."""
    return [(_unmarked(name), value) for name, value in headers or () if not name.startswith(_CONTEXT)]


def expired_letter(place: Place, low: int, detail: str, topic_id: str) -> Send:
    """The record that stands for all that retention deleted below `low` before it was read."""
    context = [
        ("freshet.reason", b"input_expired"),
        ("freshet.role", place.role.encode()),
        (_TOPIC_ID, topic_id.encode()),
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
    partition, offset = (whole_number(found.get(f"freshet.{name}")) for name in ("partition", "offset"))
    if partition is None or offset is None:
        return None
    try:
        return found["freshet.role"].decode(), partition, offset
    except (KeyError, UnicodeDecodeError):
        return None


def topic_id_of(headers: Headers | None) -> str:
    """Kafka's id of the topic that a dead letter's record was read from; '' if the headers do not say."""
    found = next((value for name, value in headers or () if name == _TOPIC_ID and value is not None), b"")
    return found.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Source:
    """A record that was set aside. A topic that is made anew starts at offset 0 again, so its id is needed as well."""

    place: str
    """topic/partition/offset."""
    topic_id: str = ""
    """Id of the topic that it was read from; '' if that was not noted."""


def receipts(sources: Sequence[Source], partitions: Sequence[int]) -> Send:
    """Notes on the dead-letters topic that these records were published once more."""
    n = len(sources)
    headers = [[(_REDRIVEN, source.place.encode()), (_TOPIC_ID, source.topic_id.encode())] for source in sources]
    return Send(ROLE, [None] * n, [b""] * n, partitions, headers)


def receipt_of(headers: Headers | None) -> Source | None:
    """The record whose redrive this record of the dead-letters topic notes; None for a dead letter."""
    for name, value in headers or ():
        if name == _REDRIVEN and value is not None:
            return Source(value.decode(errors="replace"), topic_id_of(headers))
    return None


def _clipped(detail: str) -> bytes:
    return detail.encode()[:_DETAIL_BYTES].decode(errors="ignore").encode()


def _marked(name: str) -> str:
    """The name of a producer's header in a letter. It only changes if it could be taken for one of ours."""
    return _PRODUCERS + name if _LIKE_OURS.match(name) else name


def _unmarked(name: str) -> str:
    """The name that a letter's header had when its producer wrote it."""
    bare = name.removeprefix(_PRODUCERS)
    return bare if _LIKE_OURS.match(bare) else name


def _fitting(
    record: Record, context: list[tuple[str, bytes | None]], cap_bytes: int
) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
    """Key, value and headers of a letter: as much of the record as the topic takes."""
    key, value = record.key(), record.value()
    told = [(_marked(name), text) for name, text in read_headers(record)]
    whole = [*told, *context]
    if lone_batch_bytes(key, value, whole) <= cap_bytes:
        return key, value, whole
    context = [*context, *_fingerprint(value or b"")]
    key, value = (key or b"")[:_KEPT_BYTES], (value or b"")[:_KEPT_BYTES]
    kept_bytes = 0
    for kept, (name, text) in enumerate(told):
        kept_bytes += len(name.encode()) + len(text or b"")
        if kept_bytes > _KEPT_BYTES:
            told = told[:kept]
            break
    if lone_batch_bytes(key, value, [*told, *context]) <= cap_bytes:
        return key, value, [*told, *context]
    return None, b"", context


def _fingerprint(value: bytes) -> list[tuple[str, bytes | None]]:
    return [
        ("freshet.truncated", str(len(value)).encode()),
        ("freshet.sha256", hashlib.sha256(value).hexdigest().encode()),
    ]
