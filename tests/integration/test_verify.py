"""`freshet verify` from real bytes: what is on the topics is what is judged, in memory and on a real Kafka."""

from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import cast

import numpy as np
import pytest

from freshet.cli.verify.collect import GroupOffsets, collect
from freshet.cli.verify.evidence import Evidence
from freshet.cli.verify.judge import judge
from freshet.contracts.control import encode
from freshet.runtime.bus import Committed, Place, Send, Transaction
from freshet.runtime.kafka.admin import KafkaAdmin
from freshet.runtime.memory.log import At
from support.breaches import BREACHES
from support.buses import BusWorld, KafkaWorld, MemoryWorld, bus_world, opened
from support.evidence import cutover, good, rollout
from support.hand_written import ROLES, write

__all__ = ["bus_world"]


def committed(world: BusWorld, kafka: str = "") -> GroupOffsets:
    """How `verify` learns of committed offsets in this world."""
    if isinstance(world, MemoryWorld):
        cluster, names = world.cluster, world.names

        def remembered(service: str, role: str) -> Mapping[int, Committed]:
            group = cluster.group(names.group(service))
            known = {partition: group.committed(At(names.topic(role), partition)) for partition in (0, 1)}
            return {partition: at for partition, at in known.items() if at is not None}

        return remembered
    names, admin = cast(KafkaWorld, world).names, KafkaAdmin(kafka)
    return lambda service, role: admin.committed(names.group(service), names.topic(role))


def same(one: object, other: object) -> bool:
    """Equality of evidence, down to the columns."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(np.sort(one), np.sort(other))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


@pytest.fixture
def found(bus_world: BusWorld, request: pytest.FixtureRequest) -> Callable[[Evidence], Evidence]:
    """Writes evidence down on topics, and collects it from there."""
    kafka = request.getfixturevalue("kafka") if isinstance(bus_world, KafkaWorld) else ""
    bus_world.make_topics(*ROLES)

    def written_and_found(evidence: Evidence) -> Evidence:
        names = cast(MemoryWorld | KafkaWorld, bus_world).names
        write(evidence, bus_world.bus, names)
        return collect(bus_world.bus, names.pipeline, committed(bus_world, kafka))

    return written_and_found
