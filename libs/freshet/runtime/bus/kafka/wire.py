"""The three requests about transactions that the client does not have, over a plain socket to one broker.

DescribeProducers, ListTransactions and DescribeTransactions, each in version 0, which every broker since 3.0 answers.
There is no TLS and no login here: where a cluster wants them, what these would tell stays untold.
"""

import itertools
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")

_TIMEOUT_S: Final = 5.0
_LARGEST_ANSWER_BYTES: Final = 1 << 26
_CLIENT: Final = b"freshet"
_NO_TAGS: Final = b"\0"
_DESCRIBE_TRANSACTIONS: Final = 65
_LIST_TRANSACTIONS: Final = 66
_DESCRIBE_PRODUCERS: Final = 61

Address = tuple[str, int]


class WireError(Exception):
    """The broker did not answer as it should; nothing was changed."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that a partition holds open: whose, and from which offset on."""

    producer_id: int
    start: int


@dataclass(frozen=True, slots=True)
class TransactionState:
    """What a coordinator says of a transactional id; `places` are the partitions of the transaction that runs now."""

    state: str
    producer_id: int
    places: frozenset[tuple[str, int]]


def open_transactions(leader: Address, topic: str, partition: int) -> list[OpenTransaction]:
    """The transactions that this partition holds open, oldest first; ask its leader. Raises WireError, OSError."""
    asked = _array([_text(topic) + _array([struct.pack(">i", partition)]) + _NO_TAGS])
    answer = _call(leader, _DESCRIBE_PRODUCERS, asked)
    answer.fields("i")
    found: list[OpenTransaction] = []
    for error, producers in itertools.chain.from_iterable(answer.array(answer.held)):
        if error:
            raise WireError(f"DescribeProducers of {topic}/{partition}: error {error}")
        found += [producer for producer in producers if producer.start >= 0]
    return sorted(found, key=lambda producer: producer.start)


def transactional_ids(coordinator: Address, producer_id: int) -> list[str]:
    """The transactional ids of this producer id that this broker coordinates. Raises WireError, OSError."""
    answer = _call(coordinator, _LIST_TRANSACTIONS, _array([]) + _array([struct.pack(">q", producer_id)]))
    _, error = answer.fields("ih")
    if error:
        raise WireError(f"ListTransactions: error {error}")
    answer.array(answer.text)  # filters that it does not know
    return answer.array(answer.listed)


def transaction_state(coordinator: Address, transactional_id: str) -> TransactionState:
    """What the coordinator of a transactional id says of it. Raises WireError, OSError."""
    answer = _call(coordinator, _DESCRIBE_TRANSACTIONS, _array([_text(transactional_id)]))
    answer.fields("i")
    ((error, state),) = answer.array(answer.described)
    if error:
        raise WireError(f"DescribeTransactions of {transactional_id}: error {error}")
    return state


class _Answer:
    """Reads an answer from front to back; compact encoding, tagged fields skipped."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def fields(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f">{layout}", self._content, self._at)
        self._at += struct.calcsize(f">{layout}")
        return values

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            byte: int = self.fields("B")[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text(self) -> str:
        length = self.unsigned() - 1
        self._at += max(0, length)
        return self._content[self._at - length : self._at].decode() if length > 0 else ""

    def array(self, item: Callable[[], T]) -> list[T]:
        """Items one after the other; where they are structures, `item` reads their tags, too."""
        return [item() for _ in range(self.unsigned() - 1)]

    def tags(self) -> None:
        for _ in range(self.unsigned()):
            self.unsigned()
            self._at += self.unsigned()

    def held(self) -> list[tuple[int, list[OpenTransaction]]]:
        self.text()
        partitions = self.array(self._producers)
        self.tags()
        return partitions

    def _producers(self) -> tuple[int, list[OpenTransaction]]:
        _, error = self.fields("ih")
        self.text()
        producers = self.array(self._producer)
        self.tags()
        return error, producers

    def _producer(self) -> OpenTransaction:
        producer_id, _epoch, _sequence, _time, _coordinator, start = self.fields("qiiqiq")
        self.tags()
        return OpenTransaction(producer_id, start)

    def listed(self) -> str:
        name = self.text()
        self.fields("q")
        self.text()
        self.tags()
        return name

    def described(self) -> tuple[int, TransactionState]:
        (error,) = self.fields("h")
        self.text()
        state = self.text()
        _timeout, _since, producer_id, _epoch = self.fields("iqqh")
        topics = self.array(self._topic)
        self.tags()
        places = frozenset((topic, partition) for topic, partitions in topics for partition in partitions)
        return error, TransactionState(state, producer_id, places)

    def _topic(self) -> tuple[str, list[int]]:
        topic = self.text(), self.array(lambda: int(self.fields("i")[0]))
        self.tags()
        return topic


def _call(broker: Address, request: int, body: bytes) -> _Answer:
    """Ask one broker one thing, in version 0 of a request with compact encoding."""
    head = struct.pack(">hhih", request, 0, 1, len(_CLIENT)) + _CLIENT + _NO_TAGS
    message = head + body + _NO_TAGS
    with socket.create_connection(broker, _TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">i", len(message)) + message)
        with connection.makefile("rb") as stream:
            (length,) = struct.unpack(">i", _exactly(stream.read, 4))
            if not 0 < length <= _LARGEST_ANSWER_BYTES:
                raise WireError(f"{broker[0]}:{broker[1]} answered with a length of {length}: is it Kafka?")
            answer = _Answer(_exactly(stream.read, length))
    answer.fields("i")
    answer.tags()
    return answer


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    content = read(length)
    if len(content) < length:
        raise WireError("the broker closed the connection in the middle of an answer.")
    return content


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _text(text: str) -> bytes:
    return _unsigned(len(text.encode()) + 1) + text.encode()


def _array(items: Sequence[bytes]) -> bytes:
    return _unsigned(len(items) + 1) + b"".join(items)
