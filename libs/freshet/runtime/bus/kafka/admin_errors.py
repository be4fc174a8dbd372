"""What goes wrong for whoever looks after a cluster, in sentences that say what to do."""

from typing import Final

from confluent_kafka import KafkaError

from freshet.runtime.bus.kafka.connection_errors import ConnectionErrors
from freshet.runtime.bus.kafka.kafka_error import MOVING
from freshet.runtime.bus.protocol import BusError, RetriableError

_UNREACHABLE: Final = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._RESOLVE,
    }
)
_OF_SETTINGS: Final = frozenset({KafkaError.INVALID_CONFIG, KafkaError.POLICY_VIOLATION, KafkaError.INVALID_REQUEST})
_WHAT_TO_DO: Final = {
    KafkaError.TOPIC_ALREADY_EXISTS: "Somebody has just created it; run the command again, it will then look at it.",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Grant it CREATE, ALTER_CONFIGS and DESCRIBE_CONFIGS on these topics.",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "Grant it DESCRIBE on these groups.",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "Grant it CREATE on the cluster, or on a prefix of topics.",
    KafkaError.INVALID_REPLICATION_FACTOR: "Give a replication factor that this cluster's brokers can hold.",
}


class UnreachableError(RetriableError):
    """No broker answered in time."""


class RefusedLoginError(UnreachableError):
    """The cluster is there and does not let us in, or nobody gives us a token for it: the settings are wrong."""


class UnseenError(RetriableError):
    """The cluster has agreed, but did not do it within the time that it may take."""


class AdminError(BusError):
    """The cluster refused; the message says what it was asked, why, and what to do."""


class SettingRefusedError(AdminError):
    """The cluster does not take a setting, or its value: it does not know it, or a rule of its owner forbids it."""


def admin_error(error: KafkaError, doing: str, servers: str, timeout_s: float, seen: ConnectionErrors) -> BusError:
    """What to make of an error met while doing something with the cluster at these servers; `seen`: what its client was
    told of its connections.
    """
    if error.code() in _UNREACHABLE:
        if seen.refusal:
            said, advice = seen.refusal
            advice = f"{advice[0].upper()}{advice[1:]}"
            return RefusedLoginError(f"{doing}: Kafka at {servers} does not let us in ({said}). {advice}.")
        return UnreachableError(
            f"{doing}: Kafka at {servers} did not answer within {timeout_s:.0f} s ({seen.cause or error.str()}). Is it "
            "running, and are the address, the user and the certificate right?"
        )
    if error.code() in _WHAT_TO_DO:
        return AdminError(f"{doing}: {error.str()} {_WHAT_TO_DO[error.code()]}")
    if error.retriable() or error.code() in MOVING:
        return RetriableError(f"{doing}: {error.str()} ({error.name()}). Try again in a moment.")
    kind = SettingRefusedError if error.code() in _OF_SETTINGS else AdminError
    return kind(f"{doing}: {error.str()} ({error.name()}). The broker's log says more.")
