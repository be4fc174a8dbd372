"""The transactional producer of the loops on Kafka, and how records are handed over to a client."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from freshet.runtime import failpoints
from freshet.runtime.bus.kafka.config import REQUEST_TIMEOUT_S
from freshet.runtime.bus.kafka.connection_errors import ConnectionErrors
from freshet.runtime.bus.kafka.kafka_error import FENCED, RIGHTS, bus_error, kafka_error, translated
from freshet.runtime.bus.protocol import (
    POLL_FIRST,
    SUSPECT_S,
    FatalError,
    RefusedError,
    Send,
    SuspectError,
    TooLargeError,
    Transaction,
)
from freshet.runtime.record_caps import RecordCaps
from freshet.runtime.watchdog import Watchdog

_COMMIT_DEADLINE_S: Final = 30.0
_HUNG_S: Final = REQUEST_TIMEOUT_S + 5.0  # each call is bounded by the request timeout: beyond, it never comes back
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE})
_PURGED: Final = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})  # what an abort does to the rest


class KafkaTransactionalProducer:
    """Implements `bus.TransactionalProducer`.

    Suspect rule (Jepsen's client-side defence): librdkafka resends EndTxn under the same epoch, so a delayed copy could
    hit the next transaction. After a slow or retried commit the client is replaced before the next begin: the new epoch
    fences any copy still on its way. Who may not take its id back (`reopen=False`) ends instead, and so does the copy.
    """

    def __init__(
        self,
        config: dict[str, Any],
        topic: Callable[[str], str],
        ask_cap: Callable[[str], int | None],
        *,
        reopen: bool,
    ) -> None:
        """`ask_cap`: the `max.message.bytes` of a role's topic, None if that cannot be told now."""
        self._config = config | {"on_delivery": self._on_delivery, "error_cb": self._on_error}
        self._errors = ConnectionErrors()
        self._topic = topic
        self._reopen = reopen
        self._producer: Producer | None = None
        self._undelivered: list[tuple[KafkaError, str]] = []
        self._caps = RecordCaps(
            ask_cap,
            reopen=reopen,
            most_bytes=int(config["message.max.bytes"]),
            exact=config.get("compression.type", config.get("compression.codec", "none")) == "none",
        )
        self._suspect = self._asked = False
        self._watchdog = Watchdog().start()

    def open(self) -> None:
        """See `bus.TransactionalProducer`."""
        batch_bytes = min(self._caps.batch_bytes, int(self._config.get("batch.size", self._caps.batch_bytes)))
        self._producer = Producer(self._config | {"batch.size": batch_bytes})
        with translated(f"taking over transactional id {self._config['transactional.id']}"):
            self._retried(lambda: self._client.init_transactions(REQUEST_TIMEOUT_S), "taking over the transactional id")
        self._suspect = self._asked = False

    def commit(self, transaction: Transaction) -> None:
        """See `bus.TransactionalProducer`."""
        # Tells us of lost connections, which nobody asked for while there was nothing to commit. A client that has been
        # through a broker's restart hangs in its first `send_offsets_to_transaction`; a new one does not.
        if not self._suspect:  # else it is replaced below, and a poll might only tell what it died of
            with translated(f"as the owner of transactional id {self._config['transactional.id']}"):
                self._client.poll(0)
        # Before it begins: sent, it would leave this client suspect, which is the end of one that may not re-open.
        self._caps.check(transaction.sends)
        if self._suspect:
            if not self._reopen:
                raise SuspectError(self._config["transactional.id"])
            if transaction.offsets and not self._asked:
                self._asked = True
                raise RefusedError(POLL_FIRST)
            self.open()
        self._undelivered.clear()
        began = time.monotonic()
        try:
            self._client.begin_transaction()
            failpoints.reached("begun")
            for send in transaction.sends:
                enqueue(self._client, self._topic(send.role), send)
            failpoints.reached("produced")
            if transaction.offsets:
                offsets = [
                    TopicPartition(self._topic(place.role), place.partition, at.offset, at.metadata)
                    for place, at in transaction.offsets.items()
                ]
                self._retried(
                    lambda: self._client.send_offsets_to_transaction(
                        offsets, transaction.membership, REQUEST_TIMEOUT_S
                    ),
                    "sending offsets",
                )
            failpoints.reached("offsets_sent")
            self._retried(lambda: self._client.commit_transaction(REQUEST_TIMEOUT_S), "committing")
        except (KafkaException, SystemError) as error:
            self._abort(kafka_error(error), transaction)
        failpoints.reached("committed")
        if time.monotonic() - began > SUSPECT_S:
            self._suspect = True

    def _retried(self, call: Callable[[], object], doing: str) -> None:
        """Call again while the client says that the same call may go through, within one deadline."""
        deadline = time.monotonic() + _COMMIT_DEADLINE_S
        while True:
            try:
                with self._watchdog.limit(_HUNG_S, doing):
                    call()
                return
            except KafkaException as error:
                cause = kafka_error(error)
                if not cause.retriable():
                    raise
                if time.monotonic() > deadline:
                    raise FatalError(
                        f"{doing} did not succeed within {_COMMIT_DEADLINE_S:.0f} s: {cause.str()}."
                    ) from error
                self._suspect = True

    def _abort(self, cause: KafkaError, transaction: Transaction) -> None:
        """Undo the open transaction and say so, or say that this client is finished."""
        with suppress(KafkaException):  # of a client that has died, of `cause`
            self._client.poll(0)  # tells what was refused, which may reach us as any other error
        # `_STATE`: an earlier record of this transaction was refused while the later ones were being handed over.
        undone = cause.txn_requires_abort() or cause.code() == KafkaError._STATE or self._too_large(cause)
        if cause.code() in FENCED and (cause.fatal() or not undone):
            raise bus_error(cause, f"committing a transaction of {self._config['transactional.id']}")
        if cause.fatal() or not undone:
            raise FatalError(
                f"committing a transaction: {cause.str()} ({cause.name()}). This producer cannot go on; the supervisor "
                "restarts the process, and the next owner of the transactional id settles what is open."
            )
        failure: KafkaError | None = None
        try:
            self._retried(lambda: self._client.abort_transaction(REQUEST_TIMEOUT_S), "aborting")
        except (KafkaException, SystemError) as error:
            failure = kafka_error(error)
        if cause.code() in RIGHTS:  # the broker would refuse it again and again, and does not say which topic it was
            written = sorted({self._topic(send.role) for send in transaction.sends})
            raise bus_error(cause, f"committing a transaction that writes to {' and '.join(written) or 'no topic'}")
        too_large = self._too_large(cause)  # once more: the abort has waited for all answers
        if failure is not None:
            # After an oversize record the client raises its own epoch, and may then take itself for fenced. Nothing was
            # committed, and the next poll tells whether somebody really has our place.
            if not self._reopen or (failure.code() in FENCED and not too_large):
                raise FatalError(f"an abort failed: {failure.str()}. The process must be restarted.")
            # When a broker dies, librdkafka 2.16 may abort once more what the coordinator has ended already
            # (librdkafka#4849). Taking the id anew ends whatever is left.
            self._suspect, self._asked = True, False
        errors = [error for error, _ in self._undelivered if error.code() not in _PURGED]
        reasons = "; ".join(dict.fromkeys(error.str() for error in (*errors, cause)))
        if not too_large:
            raise RefusedError(f"the transaction was aborted: {reasons}.")
        # Its sequence numbers are out of step: the next transaction would fail. Whoever is told of this polls next.
        self._suspect = self._asked = True
        topics = {topic for error, topic in self._undelivered if error.code() in _TOO_LARGE}
        sends = transaction.sends
        self._caps.refused(sends, {send.role for send in sends if self._topic(send.role) in topics})
        raise TooLargeError(f"the transaction was aborted: {reasons}.")

    def _too_large(self, cause: KafkaError) -> bool:
        """Whether something of this transaction was refused for its size, as far as is known."""
        return any(error.code() in _TOO_LARGE for error in (cause, *(error for error, _ in self._undelivered)))

    def cap_bytes(self, role: str) -> int:
        """See `bus.TransactionalProducer`."""
        return self._caps.of(role)

    def close(self) -> None:
        """See `bus.TransactionalProducer`."""
        self._producer = None
        self._watchdog.stop()

    @property
    def _client(self) -> Producer:
        assert self._producer is not None, "open() comes first"
        return self._producer

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._undelivered.append((error, message.topic() or ""))

    def _on_error(self, error: KafkaError) -> None:
        self._suspect = True
        self._errors(error)


def enqueue(
    producer: Producer,
    topic: str,
    send: Send,
    delivered: Callable[[int], Callable[[KafkaError | None, Message], None]] | None = None,
) -> None:
    """Hand all records over to the client, waiting whenever its queue is full. The hot path: no callback, no header."""
    produce = producer.produce
    if delivered is not None or send.headers is not None:
        _enqueue_rare(producer, topic, send, delivered)
    elif send.partitions is None:
        for value, key in zip(send.values, send.keys, strict=True):
            try:
                produce(topic, value, key)
            except BufferError:
                _patiently(producer, topic, value, key)
    else:
        for value, key, partition in zip(send.values, send.keys, send.partitions, strict=True):
            try:
                produce(topic, value, key, partition)
            except BufferError:
                _patiently(producer, topic, value, key, partition)


def _enqueue_rare(
    producer: Producer,
    topic: str,
    send: Send,
    delivered: Callable[[int], Callable[[KafkaError | None, Message], None]] | None,
) -> None:
    """With headers or callbacks, which cost more than all the rest of a record."""
    for row, (key, value) in enumerate(zip(send.keys, send.values, strict=True)):
        keywords: dict[str, Any] = {}
        if send.partitions is not None:
            keywords["partition"] = send.partitions[row]
        if send.headers is not None:
            keywords["headers"] = list(send.headers[row])
        if delivered is not None:
            keywords["on_delivery"] = delivered(row)
        _patiently(producer, topic, value, key, **keywords)


def _patiently(producer: Producer, *arguments: Any, **keywords: Any) -> None:
    """Produce as soon as the client's queue has room; its own delivery timeout bounds the wait."""
    while True:
        try:
            producer.produce(*arguments, **keywords)
            return
        except BufferError:
            producer.poll(0.01)
