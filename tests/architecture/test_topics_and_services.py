"""`schemas/topics.yaml` says who writes and reads each topic; the services' own declarations must say the same.

Rights are given from that table: a reader that it leaves out would be refused at its first start in production.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest

from freshet.contracts.beating_services import services_of_all, services_of_pipelines
from freshet.contracts.logic import Decider, Logic
from freshet.contracts.topic_table import EVERY_SERVICE, TopicNames, topic_table
from freshet.registry.core.decider import RegistryDecider
from freshet.retraining.core.retraining_decider import RetrainingDecider
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.memory.memory_reader import MemoryLogReader
from freshet.runtime.bus.protocol import Place, Send
from freshet.runtime.recovery import Clue, Recovery
from freshet.runtime.service import ControlService, DataService, EdgeService, load_service, parts_of, service_names

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = sorted(path.name for path in (ROOT / "services/freshet").iterdir() if path.is_dir())
SERVICES: Final = [part.name for folder in FOLDERS for part in parts_of(load_service(folder))]
DEAD_LETTERS: Final = "dead-letters"
ARTIFACTS: Final = "artifacts"
CANDIDATES: Final = "candidates"
WORKERS: Final = "workers"


@dataclass(frozen=True)
class Declared:
    """What a service says that it consumes, follows, owns, and answers with."""

    reads: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    looks_up: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    clues: tuple[Clue, ...] = ()
    edge_writes: tuple[str, ...] = ()

    @property
    def outputs(self) -> set[str]:
        """Topics of a data service's answers, whose tail it reads again when its offsets are lost."""
        return {clue.output for clue in self.clues} | ({DEAD_LETTERS} if self.clues else set())


@cache
def declared_by(service: str) -> Declared:
    """What the service itself says, in its folder: its logic or decider, and what its `SERVICE` adds."""
    found = load_service(service)
    if isinstance(found, EdgeService):
        return Declared(follows=found.reads, edge_writes=found.writes)
    core: Any = _core(service)
    if isinstance(found, ControlService):
        return Declared(follows=core.follows, owns=core.owns)
    assert isinstance(found, DataService)
    return Declared(core.reads, core.follows, core.looks_up, clues=found.clues)


def _core(service: str) -> type:
    """The one logic or decider in the service's `core/`; what is made from it is no other, and what reads nothing is a
    base of several.

    A suite has one for each of its services: what keeps state under its name.
    """
    folder = ROOT / "services/freshet" / service.partition("-")[0] / "core"
    modules = (
        import_module(".".join(path.relative_to(ROOT / "services").with_suffix("").parts))
        for path in sorted(folder.rglob("*.py"))
    )
    parts = [
        part
        for module in modules
        for part in vars(module).values()
        if isinstance(part, type)
        and issubclass(part, (Logic, Decider))
        and part.__module__ == module.__name__
        and (issubclass(part, Decider) or part.reads)
    ]
    found = [part for part in parts if not any(base in parts for base in part.__mro__[1:])]
    if "-" in service:
        found = [part for part in found if getattr(getattr(part, "kept", None), "role", "").endswith(f"/{service}")]
    assert len(found) == 1, f"{service} needs one Logic or Decider in its core/, and has {found}"
    return found[0]


def _is_kept(role: str) -> bool:
    """Whether this is a state topic, which its kind gives to its service."""
    return "/" in role


def announced(service: str) -> set[str]:
    """Control roles that the service's core announces to, as written in its code, and the one where it beats."""
    calls = (node for tree in _trees(service, "core") for node in ast.walk(tree) if isinstance(node, ast.Call))
    named = {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "Announce" and isinstance(call.args[0], ast.Constant)
    }
    return named | {WORKERS}


def calls(service: str, function: str) -> bool:
    """Whether the service uses this function, such as one that fetches or publishes models."""
    return any(
        isinstance(node, ast.Name) and node.id == function for tree in _trees(service) for node in ast.walk(tree)
    )


def looked_at(service: str) -> set[str]:
    """Roles of which a control service's jobs read a place that the code names."""
    if not isinstance(load_service(service), ControlService):
        return set()
    found = (node for tree in _trees(service) for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        str(call.args[0].value)
        for call in found
        if isinstance(call.func, ast.Name) and call.func.id == "Place" and isinstance(call.args[0], ast.Constant)
    }


class _Asked(MemoryBus):
    """Remembers which topics it was asked to read."""

    def __init__(self) -> None:
        names = TopicNames("", "p")
        super().__init__(MemoryCluster(), names)
        self.cluster.ensure(names, 1)
        self.roles: set[str] = set()

    def reader(self, roles: Sequence[str], starts: Mapping[Place, int] | None = None) -> MemoryLogReader:
        """Note it."""
        self.roles.update(roles)
        return super().reader(roles, starts)


def recovers_from(declared: Declared) -> set[str]:
    """The topics that a service really reads to find where it goes on, should its offsets be lost."""
    bus, places = _Asked(), [Place(role, 0) for role in declared.reads]
    for role in declared.outputs:
        bus.producer().send(Send(role, [b"k"], [b"some answer"]))
    search = Recovery(bus, declared.clues, "p", places, {role: bus.topic_id(role) for role in declared.reads})
    while places and not search.step():
        pass
    return bus.roles


def _trees(service: str, *within: str) -> list[ast.Module]:
    """The code of a service; of one in a suite, that of its own core."""
    folder = ROOT.joinpath("services/freshet", service.partition("-")[0], *within)
    paths = sorted(folder.rglob("*.py"))
    if "-" in service:
        module = ROOT.joinpath("services", *_core(service).__module__.split("."))
        own = module.parent if module.parent != folder else module.with_suffix(".py")
        paths = [path for path in paths if own in {path, *path.parents}]
    return [ast.parse(path.read_text()) for path in paths]


def test_every_service_is_looked_at() -> None:
    """A folder of a service is found by whoever runs services; each has a core that says which topics it uses."""
    assert service_names() == FOLDERS
    assert [service for service in SERVICES if declared_by(service) == Declared()] == []


def test_every_service_with_a_loop_is_among_those_that_are_looked_for() -> None:
    """Whoever asks who is alive learns it from the table of topics, and needs no service's code."""
    loops = [load_service(service) for service in SERVICES]
    assert {*services_of_pipelines()} == {one.name for one in loops if isinstance(one, DataService)}
    assert {*services_of_all()} == {one.name for one in loops if isinstance(one, ControlService)}


@pytest.mark.parametrize("service", SERVICES)
def test_the_table_names_exactly_the_topics_that_a_service_reads(service: str) -> None:
    """What it consumes and follows, what it recovers from, its state if it decides, and models if it fetches.

    A worker looks whether its slot is taken before it joins.
    """
    declared = declared_by(service)
    reads = {*declared.reads, *declared.follows, *declared.looks_up, *declared.owns} | recovers_from(declared)
    reads |= {WORKERS} | looked_at(service)
    reads |= {ARTIFACTS} if calls(service, "fetch_model") else set()
    who = {service, EVERY_SERVICE}
    assert {role for role, topic in topic_table().items() if who & {*topic.readers} and not _is_kept(role)} == reads


@pytest.mark.parametrize("service", SERVICES)
def test_the_table_names_exactly_the_topics_that_a_service_writes(service: str) -> None:
    """What it answers with, what it owns, and what it announces."""
    declared = declared_by(service)
    writes = declared.outputs | {*declared.owns, *declared.edge_writes} | announced(service)
    writes |= {ARTIFACTS, CANDIDATES} if calls(service, "publish_model") else set()
    who = {service, EVERY_SERVICE}
    assert {role for role, topic in topic_table().items() if who & {*topic.writers} and not _is_kept(role)} == writes


def test_a_decider_announces_to_its_own_topics_only() -> None:
    """Each state topic has one writing role. Beside them it says that it lives."""
    assert announced("registry") == {*RegistryDecider.owns, WORKERS}
    assert announced("retraining") == {*RetrainingDecider.owns, WORKERS}


def test_each_topic_has_one_writing_role() -> None:
    """Dead letters come from several: each names its origin. The command line and the console note redrives there, and
    ask for what operators want.

    So do workers' states: each has a key of its own service and slot. A model is published by whoever trained it: the
    same bytes lie under the same key. An alarm says which log it is about, and each of those is watched by one service.
    Events and feedback come from users' own producers, and through the gateway from whoever has none; the command line
    replays tables, and it and the console send dead letters through once more. Edges that a command chose have keys of
    their own.
    """
    several = {role: {*topic.writers} for role, topic in topic_table().items() if len(topic.writers) > 1}
    data = {service for service in SERVICES if declared_by(service).clues}
    trainers, operators = {"cli", "retraining"}, {"cli", "console"}
    assert several == {
        DEAD_LETTERS: {*data, *operators},
        "commands": operators,
        ARTIFACTS: trainers,
        CANDIDATES: trainers,
        "alarms": {"drift-detect", "drift-compare"},
        "edges": {"drift-profile", "cli"},
        "events": {"producers", "gateway", *operators},
        "feedback": {"producers", "gateway", "cli"},
    }
    assert topic_table()[WORKERS].writers == (EVERY_SERVICE,)
