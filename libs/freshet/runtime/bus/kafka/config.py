"""Client settings, each with its reason. Figures: docs/performance.md."""

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer

from freshet.runtime.bus.kafka.client_log import client_log
from freshet.runtime.bus.kafka.connection_errors import ConnectionErrors
from freshet.runtime.bus.kafka.kafka_error import kafka_error
from freshet.runtime.bus.protocol import SESSION_TIMEOUT_S, Assignor
from freshet.runtime.settings import SettingsError

ClientConfig = Mapping[str, str]

REQUEST_TIMEOUT_S: Final = 10.0


def check(extra: ClientConfig) -> None:
    """Raises SettingsError if no client can be made with these settings: a misspelt key, a value that is none."""
    _check(tuple(sorted(extra.items())))


@cache
def _check(extra: tuple[tuple[str, str], ...]) -> None:
    # without an address nothing is connected to; a key that is another kind of client's is only warned of
    settings: dict[str, Any] = {**dict(extra), "logger": logging.getLogger("freshet.kafka.check")}
    settings["logger"].disabled = True
    try:
        Producer(settings)
        Consumer({**settings, "group.id": "freshet.check"}).close()
    except KafkaException as error:
        raise SettingsError(f"FRESHET_KAFKA: {kafka_error(error).str()}.") from None


def common(bootstrap_servers: str, extra: ClientConfig) -> dict[str, Any]:
    """What every client needs; `extra` carries the user's security settings."""
    return {
        "error_cb": ConnectionErrors(),
        "bootstrap.servers": bootstrap_servers,
        "logger": client_log(),
        "client.id": "freshet",
        # the default of 10 s would be added to every recovery from a broker restart
        "reconnect.backoff.max.ms": 1000,
        # before the broker does, after 600 s: that would look like a lost connection, which makes a transactional
        # client suspect and ends an idle registry at its next decision
        "connections.max.idle.ms": 540_000,
        # also decides when a lost EndTxn is sent again; must stay below the transaction timeout
        "socket.timeout.ms": 4000,
        **extra,
    }


def consumer(bootstrap_servers: str, extra: ClientConfig) -> dict[str, Any]:
    """A consumer that reads committed records only, with bounded prefetch, and never commits by itself."""
    return common(bootstrap_servers, {}) | {
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "check.crcs": True,
        # the default of 1,000 ms stalls a consumer that drains its queue
        "fetch.queue.backoff.ms": 5,
        # a broker answers a waiting fetch as soon as there is a byte: short waits only cost requests at rest
        "fetch.wait.max.ms": 500,
        "queued.min.messages": 20_000,
        "queued.max.messages.kbytes": 16_384,
        **extra,
    }


def reader(bootstrap_servers: str, extra: ClientConfig, group: str) -> dict[str, Any]:
    """A consumer outside any group. It commits nothing and joins nothing, but the client asks for its group's right."""
    return consumer(bootstrap_servers, {}) | {"group.id": group, **extra}


def ranges(bootstrap_servers: str, extra: ClientConfig, group: str) -> dict[str, Any]:
    """A reader that is set to another place again and again, so that it should not fetch far ahead."""
    return reader(bootstrap_servers, {}, group) | {
        # only the end of a partition lets a fetch wait, and that end is an answer
        "fetch.wait.max.ms": 5,
        "queued.min.messages": 1000,
        "fetch.message.max.bytes": 262_144,
        **extra,
    }


def group_consumer(
    bootstrap_servers: str, extra: ClientConfig, group: str, instance: str | None, assignor: Assignor
) -> dict[str, Any]:
    """A group member. All members of a group must have the same assignor."""
    return consumer(bootstrap_servers, {}) | {
        "group.id": group,
        "group.protocol": "classic",
        "partition.assignment.strategy": assignor,
        "auto.offset.reset": "error",
        "session.timeout.ms": 1000 * SESSION_TIMEOUT_S,
        "heartbeat.interval.ms": 3000,
        "max.poll.interval.ms": 60_000,
        **({"group.instance.id": instance} if instance is not None else {}),
        **extra,
    }


def producer(bootstrap_servers: str, extra: ClientConfig) -> dict[str, Any]:
    """An idempotent producer that places keys as Java does."""
    return common(bootstrap_servers, {}) | {
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": 5,
        # dead letters carry an event of the largest legal size and its context
        "message.max.bytes": 1_200_000,
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 131_072,
        **extra,
    }


def transactional_producer(
    bootstrap_servers: str, extra: ClientConfig, transactional_id: str, timeout_ms: int
) -> dict[str, Any]:
    """A transactional producer."""
    return producer(bootstrap_servers, {}) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        # with the default of 100 ms every small transaction waits 77 to 94 ms for its offsets
        "retry.backoff.ms": 1,
        "delivery.report.only.error": True,
        **extra,
    }
