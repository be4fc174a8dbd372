"""`freshet verify` from real bytes: what is on the topics is what is judged, in memory and on a real Kafka."""

from collections.abc import Callable, Mapping

import pytest

from freshet.cli.verify.collect import GroupOffsets, collect
from freshet.cli.verify.judge import Judgement, judge
from freshet.contracts.control import encode
from freshet.runtime.bus import Committed, Place, Send, Transaction
from freshet.runtime.kafka.admin import KafkaAdmin
from freshet.runtime.memory.log import At
from support.breaches import BREACHES
from support.buses import KafkaWorld, MemoryWorld, bus_world, opened, send
from support.evidence import cutover, good, rollout
from support.hand_written import ROLES, write

__all__ = ["bus_world"]

World = MemoryWorld | KafkaWorld
Verify = Callable[[], Judgement]


@pytest.fixture
def verify(bus_world: World, request: pytest.FixtureRequest) -> Verify:
    """Makes the topics; collects and judges what is on them by then."""
    names = bus_world.names
    bus_world.make_topics(*ROLES)
    if isinstance(bus_world, MemoryWorld):
        committed = _remembered(bus_world)
    else:
        admin = KafkaAdmin(request.getfixturevalue("kafka"))

        def committed(service: str, role: str) -> Mapping[int, Committed]:
            return admin.committed(names.group(service), names.topic(role))

    return lambda: judge(collect(bus_world.bus, names.pipeline, committed))


def _remembered(world: MemoryWorld) -> GroupOffsets:
    def committed(service: str, role: str) -> dict[int, Committed]:
        group = world.cluster.group(world.names.group(service))
        known = {partition: group.committed(At(world.names.topic(role), partition)) for partition in (0, 1)}
        return {partition: at for partition, at in known.items() if at is not None}

    return committed


@pytest.mark.parametrize("name", BREACHES)
@pytest.mark.parametrize("bus_world", ["memory"], indirect=True)
def test_a_breach_in_the_bytes_is_found_as_in_the_columns(name: str, bus_world: World, verify: Verify) -> None:
    """Each breach, written down record by record, makes the same checks fail with the same examples."""
    evidence = good()
    BREACHES[name].plant(evidence)
    write(evidence, bus_world.bus, bus_world.names)
    found = verify()
    assert {finding.check: finding.examples for finding in found.findings if not finding.ok} == BREACHES[name].found
    assert found == judge(evidence)


def test_many_breaches_at_once_are_all_found(bus_world: World, verify: Verify) -> None:
    """Every check is made even where another one failed; on a real Kafka too."""
    names = ["lost event", "lost feedback", "answered twice", "another event named", "wrong version", "metadata behind"]
    evidence = good()
    for name in names:
        BREACHES[name].plant(evidence)
    write(evidence, bus_world.bus, bus_world.names)
    found = verify()
    assert {finding.check for finding in found.findings if not finding.ok} == {
        check for name in names for check in BREACHES[name].found
    }
    assert found == judge(evidence)


def test_a_good_pipeline_is_found_good_whatever_else_is_on_its_topics(bus_world: World, verify: Verify) -> None:
    """Aborted answers, other lanes, other pipelines, an older topic of the same name: none of it is evidence."""
    bus = bus_world.bus
    write(good(), bus, bus_world.names)
    bus_world.crash(opened(bus), Transaction([send("predictions", b"never visible")]), "offsets_sent")
    opened(bus)  # the next owner of the transactional id aborts what was left open
    strange = cutover(0, 2, 9)
    here = {"pipeline": bus_world.names.pipeline}
    producer = bus.producer()
    for update in (
        here | {"lane": "shadow:2.0.0", "topic_id": bus.topic_id("features")},
        here,
        {"pipeline": "another"},
    ):
        producer.send(Send("cutovers", [b"strange"], [encode(strange.model_copy(update=update))]))
    producer.send(Send("rollouts", [b"another/1"], [encode(rollout(1, "9.9.9"))]))
    producer.close()
    found = verify()
    assert found.ok
    assert found == judge(good())


def test_a_pipeline_is_judged_by_what_retention_has_left(bus_world: World, verify: Verify) -> None:
    """Inputs that have expired leave answers behind, and take nothing away from what is still there."""
    write(good(), bus_world.bus, bus_world.names)
    for place, low in ((Place("events", 0), 5), (Place("features", 0), 3), (Place("features", 1), 1)):
        bus_world.truncate(place, low)
    found = verify()
    assert found.ok
    assert found.pending == 0
    looked_at = {finding.check: finding.looked_at for finding in found.findings}
    assert looked_at["no event is lost"] == 7
    assert looked_at["no feature vector is lost"] == 7
