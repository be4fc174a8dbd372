"""Turns Kafka's errors into the few answers that a loop knows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from freshet.runtime.bus.protocol import BusError, FatalError, FencedError, RetriableError, RightsError

MOVING: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        # a broker that has just come back knows less of the leaders than its clients, or the other way round
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
    }
)
"""A broker has just started, or a partition or a group went to another one: over within seconds."""

_RETRIABLE: Final = MOVING | frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._WAIT_COORD,
        KafkaError._RESOLVE,
        # topics may be created while we run
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)

_GRANT: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "READ and WRITE on the topics of this namespace",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "READ on this group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "WRITE on this transactional id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "WRITE on the topics of this namespace",  # told to an idempotent producer
}

FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
"""What a producer is told whose transactional id another process has taken over."""
RIGHTS: Final = frozenset(_GRANT)
"""What the broker says for want of a right."""


def kafka_error(error: BaseException) -> KafkaError:
    """The KafkaError inside an exception; on a fatal error the client may hide it as the cause of a SystemError."""
    if isinstance(error, SystemError) and isinstance(error.__cause__, KafkaException):
        error = error.__cause__
    if isinstance(error, KafkaException):
        inner = error.args[0]
        if isinstance(inner, KafkaError):
            return inner
    raise error


def bus_error(error: KafkaError, doing: str, needs: str = "") -> BusError:
    """What a loop should make of a Kafka error met while doing something; `needs`: the right that it takes on a topic,
    such as `READ on topic p.events`.
    """
    sentence = f"{doing}: {error.str()} ({error.name()})"
    if error.code() in _GRANT:
        of_a_topic = error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        grant = needs if needs and of_a_topic else _GRANT[error.code()]
        return RightsError(f"{sentence}. Grant the user of FRESHET_KAFKA {grant}.")
    if error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL:
        return FatalError(
            f"{sentence}. Fixed and elastic slots divide partitions in different ways, and so does Faust; they cannot "
            "serve one pipeline together: start this process with the --slots (FRESHET_SLOTS) and the "
            "FRESHET_DRIFT_ENGINE of the others, or when they have ended."
        )
    if error.code() in FENCED:
        return FencedError(
            f"{sentence}. Another process has taken over the transactional id of this one, which is fenced and commits "
            "nothing more: two may have been given the same slot, or this one was away for too long."
        )
    if error.fatal():
        return FatalError(f"{sentence}. This client cannot go on; the supervisor restarts the process.")
    if error.retriable() or error.code() in _RETRIABLE:
        return RetriableError(f"{sentence}. This passes, as a rule, within seconds.")
    return FatalError(f"{sentence}. Not an error that can be retried; the process stops rather than guess.")


@contextmanager
def translated(doing: str, why: Callable[[], str] = str, needs: str = "") -> Iterator[None]:
    """Raise Kafka's exceptions as bus errors; `why` tells the cause behind a broker that does not answer, if known.

    `needs`: see `bus_error`.
    """
    try:
        yield
    except (KafkaException, SystemError) as error:
        cause = why()
        raise bus_error(kafka_error(error), f"{doing} ({cause})" if cause else doing, needs) from error
