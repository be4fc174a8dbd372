"""The webhook bridge on a real Kafka: everything arrives, in order, whoever of the two is away."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Decision
from freshet.contracts.topic_table import TopicNames
from freshet.lab import broker
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Send
from freshet.runtime.provision import provision
from support.receiver import Got, Receiver
from support.services import Process, free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

SECRET: Final = "a-secret-of-this-test"


class World:
    """Topics, a bridge's settings, and somebody who decides."""

    def __init__(self, kafka: str, namespace: str, folder: Path, setting: pytest.MonkeyPatch) -> None:
        self.kafka, self.namespace, self.folder = kafka, namespace, folder
        self.letters = folder / "letters.jsonl"
        self.topic = TopicNames(namespace).topic("decisions")
        self._starts = 0
        provision(KafkaAdmin(kafka), namespace, [])
        self._producer = KafkaBus(kafka, TopicNames(namespace)).producer()
        setting.setenv("FRESHET_STATE_DIR", str(folder))
        setting.setenv("FRESHET_WEBHOOK_SECRET", SECRET)
        setting.setenv("FRESHET_WEBHOOK_LETTERS", str(self.letters))

    def decide(self, subjects: Sequence[str], pipeline: str = "loans") -> None:
        """Write a decision about each."""
        messages = [
            Decision(pipeline=pipeline, about="command", subject=subject, verdict="done", reason="Because.")
            for subject in subjects
        ]
        self._producer.send(Send("decisions", [pipeline.encode()] * len(messages), list(map(encode, messages))))

    def bridge(self) -> Process:
        """Start it; a name of its own for each log."""
        self._starts += 1
        return Process(
            self.kafka, self.namespace, self.folder / f"bridge-{self._starts}.log", "webhook", "--http-port", "0"
        )

    def given_up(self) -> list[Any]:
        """The lines of the dead-letter file."""
        return [json.loads(line) for line in self.letters.read_text().splitlines()]


@pytest.fixture
def world(kafka: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Without any pipeline."""
    return World(kafka, namespace, tmp_path, monkeypatch)


def subjects(receiver: Receiver) -> list[str]:
    """What the receiver got, in order."""
    return [got.told["record"]["subject"] for got in receiver.got]


def reading(bridge: Process) -> None:
    """Wait until it reads the decisions."""
    until(lambda: any("decisions" in line["topic"] for line in bridge.log("reading")), "reading")


def test_it_begins_at_the_end_and_delivers_in_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before its first start is not sent; what comes after is, signed, with the record's own place."""
    world.decide(["old news"])
    with Receiver() as receiver:
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("FRESHET_WEBHOOK_PIPELINES", "loans")
        with world.bridge() as bridge:
            reading(bridge)
            assert [line["offset"] for line in bridge.log("first_start") if "decisions" in line["topic"]] == [1]
            world.decide(["elsewhere"], "weather")
            world.decide([str(number) for number in range(5)])
            until(lambda: len(receiver.got) >= 5, "five deliveries")
            assert subjects(receiver) == ["0", "1", "2", "3", "4"]
            assert [got.told["id"] for got in receiver.got] == [f"{world.topic}/0/{at}" for at in range(2, 7)]
            assert {got.headers["Freshet-Delivery"] == got.told["id"] for got in receiver.got} == {True}
            assert bridge.get("/ready") == (200, "yes\n")
            assert (
                'freshet_webhook_delivered_records_total{kind="decisions",pipeline="loans"' in bridge.get("/metrics")[1]
            )
            assert bridge.terminate() == 0
        with world.bridge() as again:
            reading(again)
            assert again.log("first_start") == []
            world.decide(["5"])
            until(lambda: len(receiver.got) >= 6, "one more")
        assert subjects(receiver)[5:] == ["5"]
        assert SECRET not in "".join(path.read_text() for path in world.folder.glob("*.log"))


def test_a_receiver_that_was_away_gets_everything_in_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens, then it answers 503 twice, then it takes: nothing is lost, and the id stays."""
    troubles = [503, 429]

    def answer(got: Got) -> tuple[int, dict[str, str]]:
        return (troubles.pop(), {"Retry-After": "1"}) if troubles else (204, {})

    receiver = Receiver(answer)
    monkeypatch.setenv("FRESHET_WEBHOOK_URL", receiver.url)
    with world.bridge() as bridge:
        reading(bridge)
        world.decide(["a", "b", "c"])
        bridge.logged("not_taken")
        with receiver:
            until(lambda: len(receiver.got) >= 5, "all of it")
            assert subjects(receiver) == ["a", "a", "a", "b", "c"]
            assert len({got.body for got in receiver.got[:3]}) == 1
        assert world.given_up() == []


def test_killed_between_the_answer_and_the_commit_it_delivers_again_with_the_same_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the receiver knows by the id that it has it already."""
    with Receiver() as receiver:
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("FRESHET_FAILPOINT", "posted:2")
        with world.bridge() as bridge:
            reading(bridge)
            world.decide(["a", "b", "c"])
            assert bridge.ended() == -9
        monkeypatch.delenv("FRESHET_FAILPOINT")
        with world.bridge():
            until(lambda: len(receiver.got) >= 4, "the rest")
        assert subjects(receiver) == ["a", "b", "b", "c"]
        assert receiver.got[1].body == receiver.got[2].body


def test_what_is_refused_for_good_lies_in_the_file_and_the_next_ones_arrive(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 400 is final; so is a record that nobody can read."""
    with Receiver(lambda got: (400 if b'"subject": "bad"' in got.body else 200, {})) as receiver:
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", receiver.url)
        with world.bridge() as bridge:
            reading(bridge)
            world.decide(["good", "bad"])
            KafkaBus(world.kafka, TopicNames(world.namespace)).producer().send(Send("decisions", [None], [b"?"]))
            world.decide(["better"])
            until(lambda: len(receiver.got) >= 3, "all")
        assert subjects(receiver) == ["good", "bad", "better"]
        refused, unreadable = world.given_up()
        assert (refused["id"], refused["tries"], refused["body"]) == (
            f"{world.topic}/0/1",
            1,
            receiver.got[1].body.decode(),
        )
        assert "HTTP 400" in refused["reason"]
        assert (unreadable["value_base64"], unreadable["tries"]) == ("Pw==", 0)


def test_it_ends_at_once_when_it_is_told_to_also_while_it_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that never answers does not keep it: what was under way is sent again at the next start."""

    def silent_answer(got: Got) -> tuple[int, dict[str, str]]:
        time.sleep(60)
        return 204, {}

    with Receiver(silent_answer) as silent:
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", silent.url)
        with world.bridge() as bridge:
            reading(bridge)
            world.decide(["a"])
            until(lambda: silent.got, "the request")
            assert bridge.terminate() == 0
            assert bridge.log("stopped")
    with Receiver() as receiver:
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", receiver.url)
        with world.bridge():
            until(lambda: receiver.got, "the delivery")
        assert subjects(receiver) == ["a"]


def test_a_file_that_cannot_be_written_stops_it_with_a_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full is a disk without room: the record is not passed over."""
    with Receiver(lambda _: (400, {})) as receiver:
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("FRESHET_WEBHOOK_LETTERS", "/dev/full")
        with world.bridge() as bridge:
            reading(bridge)
            world.decide(["a"])
            assert bridge.ended() == 2
            assert "cannot be written: No space left" in bridge.logged("settings")["error"]
        monkeypatch.setenv("FRESHET_WEBHOOK_LETTERS", str(world.letters))
        with world.bridge():
            until(lambda: world.letters.exists() and world.given_up(), "the letter")
        assert [found["id"] for found in world.given_up()] == [f"{world.topic}/0/0"]


def test_without_kafka_it_waits_and_ends_when_it_is_told_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts, lives, and says why it is not ready."""
    port = free_port()
    with Receiver() as receiver:
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", receiver.url)
        log = world.folder / "away.log"
        with Process(f"127.0.0.1:{port}", world.namespace, log, "webhook", "--http-port", "0") as bridge:
            bridge.logged("no_answer")
            status, why = bridge.get("/ready")
            assert (status, "reading the ends of" in why) == (503, True)
            assert bridge.get("/live")[0] == 200
            assert bridge.terminate() == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_broker_that_dies_between_the_answer_and_the_commit_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver takes a record while Kafka is away; when it is back, the ones behind it follow in order."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    root = tmp_path / "broker"
    address = broker.up(root, say=print).bootstrap_servers
    try:
        world = World(address, "", tmp_path, monkeypatch)
        receiver = Receiver()
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", receiver.url)
        with world.bridge() as bridge:
            reading(bridge)
            world.decide(["a", "b"])
            bridge.logged("not_taken")
            broker.kill(root)
            with receiver:
                until(lambda: receiver.got, "the first one")
                broker.up(root, say=print)
                world.decide(["c"])
                until(lambda: len({*subjects(receiver)}) == 3, "all of it")
                assert list(dict.fromkeys(subjects(receiver))) == ["a", "b", "c"]
                assert subjects(receiver)[-2:] == ["b", "c"]
            assert bridge.terminate() == 0
    finally:
        broker.wipe(root)
