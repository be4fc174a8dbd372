"""The administrator's view of a real Kafka: topics, their settings, and how far groups have come."""

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.admin_errors import AdminError, UnreachableError
from freshet.runtime.bus.protocol import Committed, Place, Send, Transaction
from freshet.runtime.provision import TopicConflictError, plan, provision
from freshet.runtime.topic_plan import plan_topics, topic_names

pytestmark = pytest.mark.kafka

LOANS = [("loans", 3)]


@pytest.fixture
def admin(kafka: str) -> KafkaAdmin:
    """The session's broker."""
    return KafkaAdmin(kafka)


def test_provisioning_is_idempotent(admin: KafkaAdmin, namespace: str) -> None:
    """The first run creates everything and says so, the next does nothing."""
    told: list[str] = []
    steps = provision(admin, namespace, LOANS, say=told.append)
    assert {step.action for step in steps} == {"create"}
    assert len(told) == len(steps)
    assert {step.action for step in provision(admin, namespace, LOANS)} == {"ok"}


@pytest.mark.parametrize("topic", ["loans.events", "freshet.rollouts"])
def test_a_topic_that_is_there_with_other_settings_is_not_altered_unasked(
    admin: KafkaAdmin, namespace: str, topic: str
) -> None:
    """Somebody's compacted topic stays as it is, and nothing is made beside it; the difference may be agreed to."""
    theirs = namespace + topic
    settings = {"cleanup.policy": "compact,delete", "message.timestamp.type": "CreateTime", "segment.ms": "60000"}
    admin.create(theirs, 3 if "loans" in topic else 1, settings)
    before = admin.describe([theirs])

    with pytest.raises(TopicConflictError, match=rf"(?s){theirs}: cleanup.policy=.*was cleanup.policy=.*--adopt"):
        provision(admin, namespace, LOANS)
    assert admin.describe(topic_names(namespace, LOANS)) == before

    steps = provision(admin, namespace, LOANS, adopt=True)
    assert [step.topic for step in steps if step.action == "alter"] == [theirs]
    assert {step.action for step in plan(admin, namespace, LOANS)} == {"ok"}
    assert admin.describe([theirs])[theirs].configs["segment.ms"] == "60000", "what the table does not name is left"


def test_a_refused_topic_stops_everything(admin: KafkaAdmin, namespace: str) -> None:
    """Where one topic has another count of partitions, nothing is created or altered at all."""
    features = f"{namespace}loans.features"
    admin.create(features, 5)
    with pytest.raises(TopicConflictError, match="has 5 partitions, not 3"):
        provision(admin, namespace, LOANS)
    assert list(admin.describe(topic_names(namespace, LOANS))) == [features]


def test_a_topic_made_anew_has_another_id(admin: KafkaAdmin, namespace: str) -> None:
    """Creating an existing topic is an error; a deleted one is gone, and its successor is told apart by its id."""
    topic = f"{namespace}freshet.models"
    admin.create(topic, 1)
    first = admin.describe([topic])[topic]
    with pytest.raises(AdminError, match="already exists"):
        admin.create(topic, 1)
    admin.delete([topic])
    admin.create(topic, 1)
    again = admin.describe([topic])[topic]
    assert first.topic_id != again.topic_id


def test_settings_reach_the_broker(admin: KafkaAdmin, namespace: str) -> None:
    """Every setting of the plan is in force after it was carried out, in the broker's own words."""
    provision(admin, namespace, LOANS)
    found = admin.describe(topic_names(namespace, LOANS))
    for step in plan_topics(namespace, LOANS, {}):
        configs = found[step.topic].configs
        assert {key: configs[key] for key in step.configs} == step.configs


def test_what_kafka_refuses_is_explained(admin: KafkaAdmin, namespace: str) -> None:
    """A replication factor that the cluster cannot hold, and a setting that it does not know, are told in sentences."""
    with pytest.raises(AdminError, match="replication factor that this cluster"):
        admin.create(f"{namespace}x", 1, replication_factor=99)
    with pytest.raises(AdminError, match="no-such-setting"):
        admin.create(f"{namespace}x", 1, {"no-such-setting": "1"})
    assert admin.describe([f"{namespace}x"]) == {}


def test_lag_is_end_less_committed(kafka: str, admin: KafkaAdmin, namespace: str) -> None:
    """Committed offsets come with metadata, partitions without one are left out, and ends are one past the last."""
    names = TopicNames(namespace, "loans")
    provision(admin, namespace, [("loans", 2)])
    bus = KafkaBus(kafka, names)
    events, group = names.topic("events"), names.group("ingestion")
    assert admin.committed(group, events) == {}
    bus.producer().send(Send("events", [b"k"] * 3, [b"v"] * 3, [0, 0, 1]))
    assert admin.end_offsets(events) == {0: 2, 1: 1}
    consumer, producer = bus.consumer("ingestion", ["events"], None), bus.transactional_producer("ingestion", "0")
    try:
        producer.open()
        while len(consumer.owned()) < 2:
            consumer.collect(10, 1 << 20, 0.1)
        committed = Committed(2, "e=7 f=0")
        producer.commit(Transaction(offsets={Place("events", 0): committed}, membership=consumer.membership()))
    finally:
        producer.close()
        consumer.close()
    assert admin.committed(group, events) == {0: committed}


def test_absent_topics_have_nothing(admin: KafkaAdmin, namespace: str) -> None:
    """What does not exist is left out, and never created by asking."""
    topic = f"{namespace}nowhere"
    assert admin.describe([topic]) == {}
    assert admin.end_offsets(topic) == {}
    assert admin.committed("nobody", topic) == {}
    assert topic not in admin.names()


def test_nobody_answers() -> None:
    """A wrong address ends in a bounded time with an error that says where and what to look at."""
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1 did not answer within 1 s"):
        KafkaAdmin("127.0.0.1:1", timeout_s=1.0).names()
