"""The two ways in which `freshet stream` serves a table: with a swap in the middle, or trained anew on the way."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from freshet.lab import broker
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.stepwise import serve_in_steps
from freshet.lab.demo.story_told import StoryTold
from freshet.lab.demo.traffic import Traffic
from freshet.lab.demo.training import Trained, train_and_pack
from freshet.lab.load import Sent
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.events import Events, after, first
from freshet.operate.tables.features import feature_rows

WARM_UP_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class ServedTable:
    """A table whose first tenth is to train on, and how the rest of it is sent."""

    batches: Sequence[Events]
    rate: float
    """Events per second."""
    labels_after: int
    faults: bool

    @property
    def rows(self) -> int:
        """All of it."""
        return sum(map(len, self.batches))

    @property
    def warm_up(self) -> int:
        """Rows that are not served."""
        return int(self.rows * WARM_UP_SHARE)

    def served(self) -> Iterator[Events]:
        """The rows that are."""
        return after(self.batches, self.warm_up)


def serve_halves(deployment: LocalDeployment, narrator: Narrator, table: ServedTable) -> Sent:
    """One model answers the first half, one that learned from that half too the second."""
    total, tenth = table.rows, table.warm_up
    half = (total - tenth) // 2
    narrator.chapter(f"Two models: one trained on the first {tenth:,} of {total:,} rows, one on what came later too")
    older = _trained(deployment, "linear", table.batches, tenth)
    # when it takes over, the last labels of the first half have not come yet
    newer = _trained(deployment, "trees", table.batches, max(tenth, tenth + half - table.labels_after))
    _publish(deployment, narrator, older)
    narrator.chapter(f"The other {total - tenth:,} rows are served; half-way the second model takes over")
    swapped = threading.Event()
    load = deployment.load(rate=table.rate, labels_after=table.labels_after)
    traffic = Traffic(load, held(list(table.served()), half, swapped))

    def swap() -> None:
        with narrator.waiting("the first half to be answered"):
            deployment.wait_drained()
        _publish(deployment, narrator, newer)
        swapped.set()

    for share, happens in sorted(
        [(half / (total - tenth), swap), *_faults(deployment, narrator, table.faults)], key=_share
    ):
        _wait_for(narrator, traffic, int((total - tenth) * share))
        happens()
    with narrator.waiting("the rest of the stream"):
        traffic.wait()
    return traffic.sent


def serve_retrained(deployment: LocalDeployment, narrator: Narrator, table: ServedTable, *, in_steps: bool) -> Sent:
    """One model begins; what comes after it, retraining decides as the pipeline says.

    `in_steps` the run can be repeated, see `stepwise`; else events come at their rate, and trainings when they are due.
    """
    total, tenth = table.rows, table.warm_up
    narrator.chapter(f"A first model, trained on the first {tenth:,} of {total:,} rows")
    _publish(deployment, narrator, _trained(deployment, "trees", table.batches, tenth))
    triggers = ", ".join(trigger.kind for trigger in deployment.spec.retraining.triggers)
    anew = f"a model is trained anew by the triggers: {triggers}" if triggers else "no model is trained anew"
    narrator.chapter(f"The other {total - tenth:,} rows are served; {anew}")
    if in_steps:
        events = Events.joined(list(table.served()))
        told = StoryTold(deployment, narrator, trainings=False)
        with closing(told), narrator.waiting("the rest of the stream"):
            return serve_in_steps(deployment, narrator, events, table.labels_after, heard=told.go_on)
    load = deployment.load(rate=table.rate, labels_after=table.labels_after)
    traffic = Traffic(load, table.served())
    for share, happens in _faults(deployment, narrator, table.faults):
        _wait_for(narrator, traffic, int((total - tenth) * share))
        happens()
    with closing(StoryTold(deployment, narrator)) as told, narrator.waiting("the rest of the stream"):
        while traffic.running:
            traffic.wait(1)
            told.go_on()
        traffic.wait()  # raises what went wrong
    return traffic.sent


def held(batches: Sequence[Events], rows: int, go_on: threading.Event) -> Iterator[Events]:
    """All of them, but after so many rows only once it may go on."""
    yield from first(batches, rows)
    go_on.wait()
    yield from after(batches, rows)


def _faults(deployment: LocalDeployment, narrator: Narrator, faults: bool) -> list[tuple[float, Callable[[], None]]]:
    """What is killed at which share of the stream."""

    def kill(service: str) -> Callable[[], None]:
        def happens() -> None:
            pid = deployment.supervisor.kill(service)
            narrator.line(f"SIGKILL to {service} (pid {pid})")

        return happens

    def kill_broker() -> None:
        broker.kill(Path.cwd())
        narrator.line("SIGKILL to the broker")
        broker.up(Path.cwd(), say=narrator.line)
        narrator.line("the broker is back on its data")

    victims = (*deployment.services[1:], "registry")
    shares = np.linspace(0.15, 0.45, len(victims)).tolist()
    kills = [(share, kill(victim)) for share, victim in zip(shares, victims, strict=True)]
    return [*kills, (0.75, kill_broker)] if faults else []


def _share(event: tuple[float, Callable[[], None]]) -> float:
    return event[0]


def _trained(deployment: LocalDeployment, kind: str, batches: Sequence[Events], rows: int) -> tuple[str, Trained]:
    """A model trained on those of the first rows that have a label, and what to call it."""
    events = Events.joined(list(first(batches, rows)))
    values, labels = feature_rows(deployment.spec, deployment.schema, events)
    known = [row for row, text in enumerate(labels) if text]
    trained = train_and_pack(kind, values[known], [labels[row] for row in known], deployment.spec)
    return f"{kind} model, trained on {len(known):,} rows", trained


def _publish(deployment: LocalDeployment, narrator: Narrator, made: tuple[str, Trained]) -> None:
    title, trained = made
    with narrator.waiting("admission and rollout"):
        verdict = deployment.offer(trained.bundle.data, trained.bundle.manifest)
        if not verdict.version:
            raise OperateError(f"the registry refused the {title}: {verdict.reason}")
        if deployment.spec.rollout.policy != "immediate":
            deployment.ask("promote", verdict.version)
        rollout = deployment.wait_live(verdict.version)
    narrator.line(f"{title}: {verdict.state} as {verdict.version}, live in epoch {rollout.epoch}")


def _wait_for(narrator: Narrator, traffic: Traffic, events: int) -> None:
    with narrator.waiting(f"event {events:,} to be sent"):
        while traffic.running and traffic.sent.events < events:
            time.sleep(0.05)
