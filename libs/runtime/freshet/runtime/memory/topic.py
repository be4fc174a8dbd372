"""A topic: partitions, a key's place among them, and a limit of size."""

from typing import Final

from freshet.contracts.murmur2 import partition_for
from freshet.runtime.bus import RetriableError, Send, TooLargeError
from freshet.runtime.memory.log import At, PartitionLog, Payload
from freshet.runtime.memory.transaction import OpenTransaction

DEFAULT_MAX_MESSAGE_BYTES: Final = 1_048_588  # Kafka's own default of max.message.bytes

_BATCH_OVERHEAD_BYTES: Final = 70  # the limit is on a batch, here of one: 61 bytes of header, the rest lengths


class Topic:
    """One topic of a cluster."""

    def __init__(self, name: str, topic_id: str, partitions: int, max_message_bytes: int) -> None:
        self.name = name
        self.topic_id = topic_id
        self.logs = [PartitionLog(At(name, partition)) for partition in range(partitions)]
        self.max_message_bytes = max_message_bytes
        self._null_keys = 0

    def grow(self) -> None:
        """One partition more: keys may have another place from now on."""
        self.logs.append(PartitionLog(At(self.name, len(self.logs))))

    def log(self, partition: int) -> PartitionLog:
        """The partition's log; raises RetriableError when the topic has no such partition."""
        if not 0 <= partition < len(self.logs):
            raise RetriableError(f"topic {self.name} has {len(self.logs)} partitions, none with number {partition}.")
        return self.logs[partition]

    def append(self, send: Send, timestamp_ms: int, transaction: OpenTransaction | None = None) -> list[int]:
        """Write the rows in order; their offsets. Raises TooLargeError at the first row that does not fit."""
        offsets = []
        for row, (key, value) in enumerate(zip(send.keys, send.values, strict=True)):
            payload = Payload(key, value, send.headers[row] if send.headers is not None else None)
            size_bytes = payload.size_bytes() + _BATCH_OVERHEAD_BYTES
            if size_bytes > self.max_message_bytes:
                raise TooLargeError(
                    f"a record of {size_bytes} bytes is larger than {self.max_message_bytes}, the most that topic "
                    f"{self.name} takes: cut it, or raise max_message_bytes in schemas/topics.yaml."
                )
            log = self.log(send.partitions[row] if send.partitions is not None else self._partition_of(key))
            if transaction is not None:
                transaction.logs.add(log)
            offsets.append(log.append(timestamp_ms, payload, transaction))
        return offsets

    def _partition_of(self, key: bytes | None) -> int:
        if key is not None:
            return partition_for(key, len(self.logs))
        self._null_keys += 1
        return (self._null_keys - 1) % len(self.logs)
