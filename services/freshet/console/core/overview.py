"""All pipelines, worst first; all services; Kafka itself; and what happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.console.core.alive import Crew, crew
from freshet.console.core.answer import Kind, SectionAnswer, urgency
from freshet.console.core.asked_commands import Acting
from freshet.console.core.flowing import STUCK_ROW
from freshet.console.core.folded import Folded
from freshet.console.core.pipeline_screen import PipelineScreen
from freshet.contracts.beating_services import services_of_all, services_of_pipelines
from freshet.contracts.messages import Decision

SHOWN_EVENTS: Final = 20


@dataclass(frozen=True, slots=True)
class KafkaState:
    """What is known of the cluster."""

    address: str
    answered_ms: int
    """When it last answered, by this machine's clock; 0 if never."""
    trouble: str
    """Why it did not answer the last time; empty if it did."""
    topics: int
    read: int
    """Control records read since the start."""
    caught_up: bool
    """Whether all control records that there were at the start have been read."""
    skew_ms: int
    """How far the broker's clock is ahead of this machine's."""
    newer: Mapping[str, str]
    """Pipelines of which a newer Freshet wrote records that cannot be read here."""


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of the log."""

    at_ms: int
    kind: Kind
    pipeline: str
    told: str


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service, over all pipelines."""

    name: str
    alive: int
    there: int
    kind: Kind
    state: str
    oldest_ms: int
    """The oldest of the newest beats of those that should be there; 0 if there is none."""
    held: int
    memory_bytes: int
    note: str


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the page shows."""

    namespace: str
    answer: SectionAnswer
    pipelines: tuple[PipelineScreen, ...]
    """Worst first."""
    services: tuple[ServiceRow, ...]
    alive: SectionAnswer
    kafka: KafkaState
    kafka_answer: SectionAnswer
    happened: tuple[Happened, ...]
    stuck_row: str = STUCK_ROW
    """What a stuck transaction among the reasons of a pipeline is known by."""


def overview(
    folded: Folded, screens: Sequence[PipelineScreen], kafka: KafkaState, namespace: str, now_ms: int
) -> Overview:
    """The page as of that moment of the broker's clock."""
    rows = tuple(sorted(screens, key=lambda one: (urgency(one.worst), one.name)))
    names = dict.fromkeys((*services_of_pipelines(), *(name for one in screens for name in one.crews)))
    found = {name: [one.crews[name] for one in screens if name in one.crews] for name in names}
    found |= {name: [crew(folded.ledger, name, "", now_ms)] for name in services_of_all()}
    services = tuple(_service(name, crews) for name, crews in found.items())
    return Overview(
        namespace, _answer(rows), rows, services, _alive(services), kafka, _kafka(kafka), _happened(folded, rows)
    )


def _answer(rows: Sequence[PipelineScreen]) -> SectionAnswer:
    if not rows:
        return SectionAnswer(
            "wait", "There is no pipeline here yet. Publish one with `freshet apply -f FOLDER`.", "none"
        )
    bad = sum(row.worst.kind == "bad" for row in rows)
    look = sum(row.worst.kind in ("warn", "held", "stale") for row in rows)
    told = [f"{bad} {'needs' if bad == 1 else 'need'} help now"] if bad else []
    told += [f"{look} {'needs' if look == 1 else 'need'} a look"] if look else []
    rest = len(rows) - bad - look
    told += (
        [f"{rest} {'is' if rest == 1 else 'are'} right or {'waits' if rest == 1 else 'wait'} for something normal"]
        if rest
        else []
    )
    sentence = ", ".join(told)
    return SectionAnswer("bad" if bad else "warn" if look else "ok", f"{sentence[0].upper()}{sentence[1:]}.", "")


def _service(name: str, found: Sequence[Crew]) -> ServiceRow:
    workers = [worker for one in found for worker in one.workers if worker.state != "left"]
    dead = [worker for worker in workers if worker.state == "dead"]
    silent = [worker for worker in workers if worker.state == "silent"]
    held = sum(len(worker.held) for worker in workers if worker.alive)
    alive = len(workers) - len(dead)
    kind: Kind = "bad" if dead else "stale" if silent else "held" if held else "ok" if alive else "off"
    state = {"bad": f"{len(dead)} dead", "stale": f"{len(silent)} silent", "held": "some wait", "off": "none"}.get(
        kind, "all"
    )
    note = ", ".join(worker.name for worker in (dead or silent)[:4])
    memory = sum(worker.memory_bytes for worker in workers if worker.alive)
    oldest = min((worker.beat_ms for worker in workers), default=0)
    return ServiceRow(name, alive, len(workers), kind, state, oldest, held, memory, note)


def _alive(services: Sequence[ServiceRow]) -> SectionAnswer:
    there, alive = sum(row.there for row in services), sum(row.alive for row in services)
    told = f"{alive} of {there} process{'' if there == 1 else 'es'} beat{'s' if alive == 1 else ''}"
    if alive < there:
        return SectionAnswer("bad", f"{told}; {_named(services, 'bad', 'has', 'have')} dead ones.", "")
    if any(row.kind == "stale" for row in services):
        return SectionAnswer("stale", f"{told}, but {_named(services, 'stale', 'is', 'are')} silent.", "")
    return SectionAnswer("ok" if there else "off", f"{told}.", "")


def _named(services: Sequence[ServiceRow], kind: Kind, of_one: str, of_many: str) -> str:
    """The services of that kind, and the verb that follows."""
    names = [row.name for row in services if row.kind == kind]
    return f"{', '.join(names)} {of_one if len(names) == 1 else of_many}"


def _kafka(kafka: KafkaState) -> SectionAnswer:
    if kafka.trouble:
        return SectionAnswer(
            "bad", "No: it does not answer. Everything on this page is as old as its age says.", "no Kafka"
        )
    if kafka.newer:
        return SectionAnswer(
            "warn", f"Yes, but a newer Freshet writes here: {next(iter(kafka.newer.values()))}", "newer records"
        )
    return SectionAnswer("ok", "Yes: it answers.", "")


def _happened(folded: Folded, rows: Sequence[PipelineScreen]) -> tuple[Happened, ...]:
    found: list[Happened] = []
    for screen in rows:
        name = screen.name
        for fact in list(folded.facts(name).decisions)[-SHOWN_EVENTS:]:
            if isinstance(fact.message, Decision):
                kind: Kind = "ok" if fact.message.verdict == "done" else "warn"
                found.append(
                    Happened(
                        fact.timestamp_ms,
                        kind,
                        name,
                        f"{fact.message.about} {fact.message.verdict}: {fact.message.reason}",
                    )
                )
        for alarm in list(folded.facts(name).alarms)[-SHOWN_EVENTS:]:
            sign: Kind = "warn" if alarm.level == "detected" else "wait"
            found.append(Happened(alarm.at_ms, sign, name, alarm.text))
        found += _runs(screen)
        found += _asked(name, screen.acting)
    return tuple(sorted(found, key=lambda one: -one.at_ms)[:SHOWN_EVENTS])


def _runs(screen: PipelineScreen) -> list[Happened]:
    return [
        Happened(run.at_ms, run.kind, screen.name, f"training ({run.trigger}): {run.outcome}")
        for run in screen.doing.runs
    ]


def _asked(name: str, found: Acting) -> list[Happened]:
    return [
        Happened(row.at_ms, row.kind, name, f"{row.what} by {row.by}: {row.told}")
        for row in found.log
        if row.kind in ("wait", "bad")
    ]
