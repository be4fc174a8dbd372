"""The end of a run: trouble ends, people put right what only people can, and all gets its answer."""

import re
from typing import Final

from freshet.contracts.messages import Decision, ModelVersion
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Committed
from support.simulation.pipeline import REMEDY
from support.simulation.processes import Process
from support.simulation.world import NAMES, World

_ROUNDS: Final = 400
_CALM_MS: Final = 1_000
_RESET: Final = re.compile(
    r"(\w+)/(\d+)(?: was reset to|: the group's committed) .* [Ss]et the group's offset .*?to (\d+)"
)


def heal(world: World) -> None:
    """Everybody is started and well, a sound model is offered, and time passes until all is answered."""
    _calm(world)
    for round_ in range(_ROUNDS):
        world.cluster.advance(_CALM_MS)
        for process in world.processes:
            process.start()
            process.step()
            _do_as_told(world, process)
        if round_ == 3:
            _make_well(world)
        if round_ > 20 and round_ % 10 == 0:
            _see_to_it(world)
        if round_ > 6 and world.drained() and _settled(world):
            return


def _calm(world: World) -> None:
    """Nothing happens any more that nobody wanted. One registry stays, and all topics get as many partitions."""
    world.minds.well = True
    world.where.skip_expired = True
    world.processes.pop().kill()
    for service in ("ingestion", "inference"):
        for member in world.group(service).members:
            world.cluster.expire(member)
    for process in world.processes:
        process.clock.skew_ms = process.away = 0
        process.said = ""  # the topic that it spoke of may be another one by now
    counts = {role: len(world.cluster.topic(NAMES.topic(role)).logs) for role in world.DATA_ROLES}
    for role, count in counts.items():
        for _ in range(max(counts.values()) - count):
            world.cluster.grow_topic(NAMES.topic(role))
    world.cluster.advance(60_000)


def _do_as_told(world: World, process: Process) -> None:
    """Whoever set an offset reads what the service says about it, and does that, once."""
    told = _RESET.search(process.said)
    if told is not None:
        process.said = ""
        role, partition, offset = told[1], int(told[2]), int(told[3])
        service = "inference" if role == "features" else "ingestion"
        world.group(service).commit(At(NAMES.topic(role), partition), Committed(offset, ""))


def _make_well(world: World) -> None:
    """What people do after trouble: resume, a policy that needs nobody, and a model that works."""
    world.command("resume")
    world.apply("immediate")
    world.offer("sound-9")


def _see_to_it(world: World) -> None:
    """What people do where that was not enough: promote the model that works."""
    models = {m.manifest.digest: m.version for m in world.messages("models") if isinstance(m, ModelVersion)}
    version = models.get(REMEDY)
    if version is not None and _settled(world) and world.serving() != version:
        world.command("promote", version)


def _settled(world: World) -> bool:
    """Whether every command was answered."""
    answered = {message.subject for message in world.messages("decisions") if isinstance(message, Decision)}
    return answered.issuperset(world.commands)
