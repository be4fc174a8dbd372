"""Profiles on a real Kafka, in processes of their own: one of two is killed, and the frames are the same."""

import time
from pathlib import Path
from random import Random
from typing import Final

import pytest

from freshet.avro.control import encode
from freshet.contracts.topic_table import TopicNames
from freshet.drift.service import COMPARE, PROFILE
from freshet.operate.alarm_log import agreement, replay, told
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from support.inference import model
from support.join_world import PIPELINE
from support.profile_world import ProfileWorld, feature_vector, prediction
from support.services import Process, until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PARTITIONS: Final = 3
ROWS: Final = 2500
_QUICK: Final = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"}


def feed(world: ProfileWorld, seed: int) -> None:
    """Rows of both inputs in each partition, and what a stranger wrote between them."""
    chance = Random(seed)
    producer = world.bus.producer()
    for partition in range(PARTITIONS):
        vectors = [feature_vector((chance.gauss(0, 1), chance.choice([0.0, 1.0, float("nan")]))) for _ in range(ROWS)]
        answers = [prediction(world.bus, chance.random()) for _ in range(ROWS)]
        vectors.insert(100, b"rubbish")
        for role, values in (("features", vectors), ("predictions", answers)):
            producer.send(Send(role, [b"card"] * len(values), values, [partition] * len(values)))


def all_closed(world: ProfileWorld, batches: int) -> bool:
    """Whether every frame is there but the open ones."""
    rows = sum(frame.rows for frame in world.frames())
    return rows >= 2 * PARTITIONS * (batches * ROWS - 1024)


@pytest.mark.faults
def test_a_killed_worker_leaves_no_trace_in_the_profiles(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Its frames are closed by the other one, once, between the same edges."""
    names = TopicNames(namespace, PIPELINE)
    provision(KafkaAdmin(kafka), namespace, [(PIPELINE, PARTITIONS)])
    world = ProfileWorld(KafkaBus(kafka, names), PARTITIONS)
    run = (PROFILE.name, "--pipelines", PIPELINE, "--slots", "elastic")
    with Process(kafka, namespace, tmp_path / "a", *run, "--slot", "a", kafka=_QUICK) as survivor:
        with Process(kafka, namespace, tmp_path / "b", *run, "--slot", "b", kafka=_QUICK) as victim:
            until(lambda: any(line["revoked"] or line["assigned"] for line in victim.log("rebalanced")), "partitions")
            feed(world, 1)
            until(lambda: all_closed(world, 1), "the first frames")
            feed(world, 2)
            time.sleep(0.3)  # it may be anywhere when it is killed
        feed(world, 3)
        until(lambda: all_closed(world, 3), "all frames")
        counts = world.check_frames()
        assert counts["features"] >= 21
        assert counts["bare"] == 0
        assert sum(frame.refused for frame in world.frames()) == 9
        assert survivor.log("fatal") == []


def test_a_change_of_a_feature_is_told_and_comes_again(kafka: str, namespace: str, tmp_path: Path) -> None:
    """From features on a real Kafka to an alarm, which a replay finds again by its id."""
    names = TopicNames(namespace, PIPELINE)
    provision(KafkaAdmin(kafka), namespace, [(PIPELINE, 1)])
    world = ProfileWorld(KafkaBus(kafka, names), 1)
    producer, chance = world.bus.producer(), Random(4)
    producer.send(Send("models", [f"{PIPELINE}/1.0.0".encode()], [encode(model("1.0.0"))]))

    def append(count: int, middle: float) -> None:
        vectors = [feature_vector((chance.gauss(middle, 1), chance.random())) for _ in range(count)]
        producer.send(Send("features", [b"card"] * count, vectors, [0] * count))

    append(14_000, 0.0)
    with (
        Process(kafka, namespace, tmp_path / "a", PROFILE.name, "--pipelines", PIPELINE),
        Process(kafka, namespace, tmp_path / "b", COMPARE.name, "--pipelines", PIPELINE) as compare,
    ):
        until(lambda: len(world.frames()) >= 12, "the reference")
        append(5_000, 2.0)
        until(lambda: len(told(world.bus, PIPELINE)) >= 2, "both alarms")
        assert compare.log("fatal") == []
    alarms = told(world.bus, PIPELINE)
    assert [(one.level, one.watched, one.subject) for one in alarms][:2] == [
        ("suspected", "features", "amount"),
        ("detected", "features", "amount"),
    ]
    agreed = agreement(alarms, replay(world.bus, PIPELINE).alarms)
    assert agreed.same == [one.id for one in alarms]
    assert agreed.only_told == agreed.only_replayed == []

    def of_psi(threshold: str) -> list[str]:
        asked = replay(world.bus, PIPELINE, "psi", {"threshold": threshold}).alarms
        return [one.level for one in asked if one.detector == "psi"]

    assert of_psi("50") == []
    assert of_psi("0.5")[:2] == ["suspected", "detected"]
