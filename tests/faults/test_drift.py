"""Drift's services at work beside the others: whatever happens to them, what they say follows from the topics."""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from freshet.lab.broker import kill, up, wipe
from freshet.models.bundle import Bundle
from freshet.runtime.provision import provision
from support.drift_trials import OWN_BROKER, changed, come_and_go, judged
from support.faults import STEPS, Trial, until

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(400)]

_RATE: Final = 200.0
_KILLS: Final = 5
_PARTS: Final = ("drift-join", "drift-evaluate", "drift-detect")
_STATE: Final = ("slabs/drift-join", "checkpoints/drift-evaluate", "checkpoints/drift-detect")
_ELASTIC: Final = {"FRESHET_SLOTS": "elastic"}


def test_killed_at_every_step_and_at_random(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """All three services in one process, which dies in their transactions and anywhere: same outcomes, same alarms."""
    here, chance = trial(drift=("drift-0",), rate=_RATE), Random(7)
    here.start(models[0])
    changed(here)
    for count, step in enumerate(STEPS, start=4):
        here.die_at("drift-0", f"{step}:{count}")
    for _ in range(_KILLS):
        time.sleep(chance.uniform(0.5, 4.0))
        here.kill("drift-0")
    here.wait_progress("drift")
    here.wait_alarm()
    here.roll_out(models[1])
    judged(here.end())


def test_two_drift_workers_join_and_leave(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """Partitions of the join, and the one log of the others, go from one to the other and back, also by SIGKILL."""
    here = trial(drift=("drift-a", "drift-b"), rate=_RATE, env=_ELASTIC)
    here.start(models[0])
    changed(here)
    come_and_go(here)
    here.wait_alarm()
    judged(here.end())


def test_lost_offsets_and_lost_state(kafka: str, trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """The logs say how far all was read, and state is made anew of the inputs."""
    here = trial(drift=("drift-0",), rate=_RATE)
    here.start(models[0])
    changed(here)
    here.wait_alarm()
    names, admin = here.stage.names, AdminClient({"bootstrap.servers": kafka})

    here.stage.supervisor.stop("drift-0")
    groups = [names.group(part) for part in _PARTS]
    until("the groups to be deleted", lambda: deleted(admin, groups))
    here.run("drift-0")
    until("offsets to be committed again", lambda: all(here.stage.committed(part, "outcomes") for part in _PARTS[1:]))
    here.wait_progress("drift")

    here.stage.admin.delete([names.topic(role) for role in _STATE])  # under a service that runs
    provision(here.stage.admin, names.namespace, [(names.pipeline, here.stage.spec.partitions)])
    here.kill("drift-0")
    here.wait_progress("drift")

    judged(here.end())


@pytest.mark.parametrize(
    ("part", "role"), [("drift-join", "labels"), ("drift-evaluate", "outcomes"), ("drift-detect", "outcomes")]
)
def test_a_reset_is_refused_with_what_to_do(
    kafka: str, trial: Callable[..., Trial], models: list[Bundle], part: str, role: str
) -> None:
    """A part's own outputs say that all of it was answered; set right, it goes on."""
    here = trial(drift=("drift-0",), rate=_RATE)
    here.start(models[0])
    changed(here)
    here.wait_alarm()
    refuse_reset(here, kafka, part, role)
    judged(here.end())


def refuse_reset(here: Trial, kafka: str, part: str, role: str) -> None:
    """Somebody sets a group back to the beginning, and then to where it was."""
    here.stage.supervisor.stop("drift-0")
    names, said = here.stage.names, f"{role}/0 was reset to 0, but is answered up to"
    told, before = here.stage.committed(part, role)[0].offset, here.log("drift-0").count(said)
    set_offset(kafka, names.group(part), names.topic(role), 0)
    here.run("drift-0")
    until(f"the reset of {part} to be refused", lambda: here.log("drift-0").count(said) > before)
    here.stage.supervisor.stop("drift-0")
    set_offset(kafka, names.group(part), names.topic(role), told)
    here.run("drift-0")
    here.wait_progress("drift")


def test_all_labels_at_once(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """Nothing comes for as long as the load lasts, and then everything, while drift dies again and again."""
    here, chance = trial(drift=("drift-0",), rate=_RATE, labels_after=1_000_000), Random(11)
    here.start(models[0])
    here.wait_sent(4_000)
    here.change_concept()
    here.wait_sent(8_000)
    here.stop_load()
    for _ in range(_KILLS):
        here.kill("drift-0")
        time.sleep(chance.uniform(0.5, 4.0))
    here.wait_alarm()
    found = judged(here.end())
    assert found["labels meet their predictions"].looked_at > 7_000


def test_state_that_nothing_can_give_back_is_refused_with_two_doors(
    kafka: str, trial: Callable[..., Trial], models: list[Bundle]
) -> None:
    """Slabs are lost, and of the inputs what they were made of, too: no empty state begins."""
    here = trial(drift=("drift-0",), rate=_RATE)
    here.start(models[0])
    here.wait_progress("drift")
    names, admin = here.stage.names, AdminClient({"bootstrap.servers": kafka})
    here.stage.supervisor.stop("drift-0")
    here.stage.admin.delete([names.topic("slabs/drift-join")])
    provision(here.stage.admin, names.namespace, [(names.pipeline, here.stage.spec.partitions)])
    read = here.stage.committed("drift-join", "predictions")
    topic = names.topic("predictions")
    lost = [TopicPartition(topic, number, at.offset) for number, at in read.items()]
    for future in admin.delete_records(lost).values():
        future.result(30)
    here.run("drift-0")
    until(
        "it to refuse", lambda: "Bring the records back from a backup, or publish the pipeline" in here.log("drift-0")
    )
    assert {number: at.offset for number, at in here.stage.committed("drift-join", "predictions").items()} == {
        number: at.offset for number, at in read.items()
    }


def test_a_broker_that_restarts(namespace: str, models: list[Bundle], tmp_path: Path) -> None:
    """All clients find it again; what was open is done again."""
    root = tmp_path / "broker"
    address = up(root, say=print, environ=OWN_BROKER).bootstrap_servers
    try:
        with Trial(address, namespace, tmp_path, drift=("drift-0",), rate=_RATE) as here:
            here.start(models[0])
            changed(here)
            for number in range(3):
                kill(root)
                up(root, say=print, environ=OWN_BROKER)
                here.wait_progress("drift")
                time.sleep(0.3 * number)
            here.wait_alarm()
            judged(here.end())
    finally:
        wipe(root, environ=OWN_BROKER)


def deleted(admin: AdminClient, groups: list[str]) -> bool:
    """Delete these groups with their offsets; False while one of them has members."""
    there = {group.group_id for group in admin.list_consumer_groups().result(30).valid}
    found = admin.delete_consumer_groups([group for group in groups if group in there]) if there & {*groups} else {}
    return all(future.exception(30) is None for future in found.values())


def set_offset(kafka: str, group: str, topic: str, offset: int) -> None:
    """What `kafka-consumer-groups.sh --reset-offsets` does, once the group is empty."""

    def done() -> bool:
        client = Consumer({"bootstrap.servers": kafka, "group.id": group, "enable.auto.commit": False})
        try:
            client.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        except KafkaException:
            return False
        finally:
            client.close()
        return True

    until(f"group {group} to be empty", done)
