"""Client settings: what a user may add, and what becomes of mistakes."""

from typing import cast

import pytest
from confluent_kafka import KafkaError, TopicPartition

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus, config
from freshet.runtime.bus.kafka.connection_errors import ConnectionErrors
from freshet.runtime.bus.kafka.kafka_error import bus_error
from freshet.runtime.bus.kafka.offset_metadata import metadata_of
from freshet.runtime.bus.protocol import BusError, FatalError, RetriableError, RightsError
from freshet.runtime.settings import SettingsError


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"security.protcol": "SSL"}, "security.protcol"),
        ({"security.protocol": "TLS"}, "security.protocol"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "AWS_MSK_IAM"}, "AWS_MSK_IAM"),
        ({"ssl.ca.location": "/nowhere/ca.pem", "security.protocol": "SSL"}, "ca.location"),
    ],
)
def test_a_setting_that_no_client_takes_is_named(extra: dict[str, str], said: str) -> None:
    """A misspelt key or value is a mistake in the settings, found before anything is connected to."""
    with pytest.raises(SettingsError, match="FRESHET_KAFKA") as refused:
        KafkaBus("127.0.0.1:9", TopicNames(), extra=extra)
    assert said in str(refused.value)


def test_settings_of_one_kind_of_client_are_taken() -> None:
    """A producer's setting does not disturb consumers, nor the other way round."""
    config.check({"linger.ms": "3", "fetch.min.bytes": "1", "security.protocol": "plaintext"})


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "READ and WRITE on the topics"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "READ on this group"),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "WRITE on this transactional id"),
    ],
)
def test_a_missing_right_says_what_to_grant_on_what(code: int, named: str) -> None:
    """It is neither retried without end nor called a bug; the place that it is missing on stands in front."""
    error = bus_error(KafkaError(code), "as a member of group dev.freshet.inference.p")
    assert isinstance(error, RightsError)
    assert "dev.freshet.inference.p" in str(error)
    assert named in str(error)


def test_a_topic_that_is_only_read_asks_for_read_alone() -> None:
    """Nobody is told to grant WRITE where a service never writes; rights on a group stay what they are."""
    needs = "READ on topic dev.freshet.artifacts"
    said = str(bus_error(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "reading", needs))
    assert said.endswith(f"Grant the user of FRESHET_KAFKA {needs}.")
    assert "READ on this group" in str(bus_error(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), "reading", needs))


def test_slots_of_both_sorts_in_one_group_are_told_as_that() -> None:
    """Kafka says "inconsistent group protocol", which means nothing to whoever started one more worker."""
    found = bus_error(KafkaError(KafkaError.INCONSISTENT_GROUP_PROTOCOL), "as a member of group g")
    assert isinstance(found, FatalError)
    assert "start this process with the --slots (FRESHET_SLOTS) and the FRESHET_DRIFT_ENGINE of the others" in str(
        found
    )


def test_a_refused_log_in_is_told_rather_than_what_follows_from_it() -> None:
    """The client adds "all brokers are down" after every refusal: the cause is the refusal."""
    errors = ConnectionErrors()
    errors(KafkaError(KafkaError._AUTHENTICATION, "Invalid credentials"))
    errors(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert "Invalid credentials" in errors.cause
    assert "sasl.*" in errors.cause


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._TRANSPORT,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
    ],
)
def test_a_broker_that_is_away_or_has_just_come_back_stays_a_matter_of_waiting(code: int) -> None:
    """Only rights and settings end a service with a settings error; leaders change while a broker starts."""
    error: BusError = bus_error(KafkaError(code), "polling")
    assert isinstance(error, RetriableError)


def test_every_group_carries_the_namespace() -> None:
    """Rights are granted on a prefix: readers, who join nothing, ask for their group's right all the same."""
    names = TopicNames("dev.", "p")
    assert names.reader_group.startswith("dev.")
    assert config.reader("b:9092", {}, names.reader_group)["group.id"] == names.reader_group


def test_metadata_with_what_is_no_text_behind_it_can_be_read() -> None:
    """librdkafka hands it on without an end; what lies behind it in memory need not be UTF-8."""

    class Overrun:
        @property
        def metadata(self) -> str:
            return b"t=abc o=5;\xb1".decode()

    assert metadata_of(cast(TopicPartition, Overrun())).startswith("t=abc o=5;")
    assert metadata_of(TopicPartition("t", 0, 5, "e=7 f=0")) == "e=7 f=0"
    assert metadata_of(TopicPartition("t", 0, 5)) == ""
