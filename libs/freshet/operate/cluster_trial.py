"""A pipeline that is made for attempts on a user's cluster, and deleted after them."""

import time
import uuid
from contextlib import closing
from dataclasses import replace
from typing import Final

from freshet.contracts.errors import FreshetError
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.operate.connection import Connection
from freshet.runtime.bus.kafka.groups import KafkaGroups
from freshet.runtime.bus.protocol import Committed, GroupConsumer, Place, Send, Transaction
from freshet.runtime.reading import everything
from freshet.runtime.topic_plan import topic_configs

WITHIN_S: Final = 20.0
"""How long a cluster may take for anything."""
KEY: Final = b"doctor"
SERVICE: Final = "doctor"
_POLL_S: Final = 0.1


class UnmetError(FreshetError):
    """The cluster answered, but not as Freshet needs it."""


class Trial:
    """What is tried with the pipeline, under a prefix of its own."""

    def __init__(self, connection: Connection) -> None:
        names = TopicNames(f"{connection.namespace}freshet.doctor-{uuid.uuid4().hex[:8]}.", "trial")
        self.connection = replace(connection, namespace=names.namespace)
        self.names, self.bus = names, self.connection.bus(names.pipeline)
        self.admin = KafkaGroups(connection.bootstrap_servers, extra=connection.client)
        # topics with equal settings need not be tried twice
        by_settings = {frozenset(topic_configs(one).items()): role for role, one in reversed([*topic_table().items()])}
        self.roles = [role for role in topic_table() if role in by_settings.values()]

    def send(self, role: str, value: bytes) -> None:
        """Write a record with an idempotent producer."""
        with closing(self.bus.producer()) as producer:
            producer.send(Send(role, [KEY], [value]), WITHIN_S)

    def commit(self, value: bytes, *, left: bool) -> None:
        """Commit a record together with an offset of a group, as its member, or as one that has left it."""
        with closing(self.bus.transactional_producer(SERVICE, "0")) as producer:
            producer.open()
            with closing(self.bus.consumer(SERVICE, ["events"], None)) as consumer:
                joined(consumer)
                offsets = {Place("events", 0): Committed(0)}
                transaction = Transaction([Send("feedback", [KEY], [value])], offsets, consumer.membership())
                if not left:
                    producer.commit(transaction)
            if left:
                producer.commit(transaction)

    def committed(self, role: str) -> set[bytes | None]:
        """The values that a reader of committed records sees."""
        return {value for batch in everything(self.bus, role) for value in batch.values}

    def arrives(self, role: str, value: bytes) -> bool:
        """Whether such a reader comes to see this value: a transaction's marker follows its commit."""
        deadline = time.monotonic() + WITHIN_S
        while value not in self.committed(role):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def joined(consumer: GroupConsumer) -> None:
    """Wait until the group's only member has a partition; raises UnmetError if it gets none."""
    deadline = time.monotonic() + WITHIN_S
    while not consumer.owned():
        if time.monotonic() > deadline:
            raise UnmetError(f"a group gave its only member no partition within {WITHIN_S:.0f} s.")
        consumer.collect(1, 1, 0.2)
