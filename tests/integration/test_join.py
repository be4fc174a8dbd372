"""The join on a real Kafka, in processes of its own: one of two is killed, and the labelled log is the same."""

import time
from pathlib import Path

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.drift.service import JOIN
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.provision import provision
from support.join_world import PIPELINE, JoinWorld
from support.services import Process, until

pytestmark = pytest.mark.kafka

_PARTITIONS = 3
_QUICK = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"}


def feed(world: JoinWorld, first: int, count: int = 200) -> None:
    """Predictions in each partition; labels for two of three, some twice, some before, some of nobody."""
    for partition in range(_PARTITIONS):
        ids = [f"a-{number}" for number in range(first, first + count)]
        world.tell([(ids[-1], 0, "ok"), (f"b-{first}", 0, "ok")], partition)
        world.ask(ids, partition)
        late = [(name, 0, "bad") for at, name in enumerate(ids) if at % 3]
        world.tell([*late, *[(name, 1, "ok") for name, _, _ in late[::5]]], partition)


def joined(world: JoinWorld) -> bool:
    """Whether all that was asked and told is in the labelled log."""
    newest = {record.partition: record for record in world.records()}
    asked = sum(record.counts["predictions"] for record in newest.values())
    labels = sum(record.counts["labels"] for record in newest.values())
    return asked == world.asked and labels == world.told


def test_a_killed_worker_leaves_no_trace_in_the_labelled_log(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Its rows are joined by the other one, once, with the values of their features."""
    names = TopicNames(namespace, PIPELINE)
    provision(KafkaAdmin(kafka), namespace, [(PIPELINE, _PARTITIONS)])
    world = JoinWorld(KafkaBus(kafka, names), _PARTITIONS)
    run = (JOIN.name, "--pipelines", PIPELINE, "--slots", "elastic")
    with Process(kafka, namespace, tmp_path / "a", *run, "--slot", "a", kafka=_QUICK) as survivor:
        with Process(kafka, namespace, tmp_path / "b", *run, "--slot", "b", kafka=_QUICK) as victim:
            until(lambda: any(line["revoked"] or line["assigned"] for line in victim.log("rebalanced")), "partitions")
            feed(world, 0)
            until(lambda: joined(world), "the first rows")
            feed(world, 1000)
            time.sleep(0.3)  # it may be anywhere when it is killed
        feed(world, 2000)
        until(lambda: joined(world), "all rows")
        counts = world.check()
        assert counts["matched"] == 9 * 133
        assert survivor.log("fatal") == []
        assert all(len(record.values) == 8 * record.rows for record in world.records())
