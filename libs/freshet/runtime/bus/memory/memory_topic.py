"""A topic: partitions, a key's place among them, and a limit on the batches that records arrive in."""

from freshet.runtime.bus.memory.coordinator import OpenTransaction
from freshet.runtime.bus.memory.partition_log import At, PartitionLog, Payload
from freshet.runtime.bus.murmur2 import partition_for
from freshet.runtime.bus.protocol import RetriableError, Send, TooLargeError
from freshet.runtime.record_caps import BATCH_BYTES
from freshet.runtime.record_size import BATCH_HEADER_BYTES, record_bytes


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

    def append(
        self,
        send: Send,
        timestamp_ms: int,
        transaction: OpenTransaction | None = None,
        batch_bytes: int = BATCH_BYTES,
    ) -> list[int]:
        """Write the rows in order; their offsets. Raises TooLargeError at the first batch that does not fit.

        As a client does, it puts rows of one partition into a batch until that would exceed `batch_bytes`.
        """
        offsets = []
        filled: dict[int, tuple[int, int]] = {}  # rows and bytes of each partition's last batch
        for row, (key, value) in enumerate(zip(send.keys, send.values, strict=True)):
            payload = Payload(key, value, send.headers[row] if send.headers is not None else None)
            partition = send.partitions[row] if send.partitions is not None else self._partition_of(key)
            filled[partition] = _with(payload, *filled.get(partition, (0, BATCH_HEADER_BYTES)), batch_bytes)
            self._check(*filled[partition])
            log = self.log(partition)
            if transaction is not None:
                transaction.logs.add(log)
            offsets.append(log.append(timestamp_ms, payload, transaction))
        return offsets

    def _check(self, rows: int, size_bytes: int) -> None:
        if size_bytes > self.max_message_bytes:
            raise TooLargeError(
                f"a batch of {rows} records and {size_bytes} bytes is larger than {self.max_message_bytes}, the most "
                f"that topic {self.name} takes: cut it, or raise max_message_bytes in schemas/topics.yaml."
            )

    def _partition_of(self, key: bytes | None) -> int:
        if key is not None:
            return partition_for(key, len(self.logs))
        self._null_keys += 1
        return (self._null_keys - 1) % len(self.logs)


def _with(payload: Payload, rows: int, size_bytes: int, batch_bytes: int) -> tuple[int, int]:
    """Rows and bytes of the batch that takes this record: the last one, or else a new one."""
    grown_bytes = size_bytes + record_bytes(payload.key, payload.value, payload.headers, rows)
    if rows and grown_bytes > batch_bytes:
        return 1, BATCH_HEADER_BYTES + record_bytes(payload.key, payload.value, payload.headers)
    return rows + 1, grown_bytes
