"""A table of the user's served end to end, with a swap in the middle and, if asked for, kills."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from freshet.lab import broker
from freshet.lab.demo.leaving import leave, look_around
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.outcome import Found, as_result, look_back
from freshet.lab.demo.stream_folder import folder_for, name_of
from freshet.lab.demo.traffic import Traffic
from freshet.lab.demo.training import Trained, train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.operate_error import OperateError
from freshet.operate.score.arithmetic import Errors
from freshet.operate.tables.events import Events, after, first
from freshet.operate.tables.features import feature_rows
from freshet.operate.tables.new_pipeline import Roles
from freshet.operate.tables.table import Dialect
from freshet.operate.tables.table_events import CsvEvents
from freshet.operate.verify.judgement import passes

_WARM_UP_SHARE: Final = 0.1
_MODELS: Final = 2


@dataclass(frozen=True, slots=True)
class Streaming:
    """What is served, and how."""

    file: Path
    label: str
    """The column that is to be predicted."""
    roles: Roles
    rate: float
    """Events per second."""
    labels_after: int
    """A label is sent after so many more events."""
    faults: bool
    """Whether each service is killed once, and the broker."""
    name: str | None = None
    """The pipeline's name; by default that of the file."""
    dialect: Dialect | None = None
    """How the table is written; by default found by looking."""


def tell_stream(
    narrator: Narrator,
    home: Path,
    told: Streaming,
    *,
    stay: bool,
    on_result: Callable[[dict[str, Any]], None] | None = None,
) -> bool:
    """Serve the table on the local broker of the folder `home`, which is started if need be.

    Returns whether all promises were kept and both models answered; `on_result` is given what was found.
    Its topics go at the end, unless it is not good or `stay` keeps them; with `stay` the services run on until
    an interrupt.
    """
    name = told.name or name_of(told.file)
    narrator.chapter(f"{told.file.name} as pipeline {name}")
    folder = folder_for(told.file, told.label, told.roles, name, narrator, dialect=told.dialect)
    endpoint = broker.up(home, say=narrator.line)
    namespace = f"stream{int(time.time())}."
    logs = Path(".local/logs") / namespace.rstrip(".")
    with LocalDeployment(endpoint.bootstrap_servers, namespace, folder, logs) as deployment:
        deployment.apply()
        deployment.start()
        narrator.line(f"services run with the prefix {namespace}; their logs are in {logs}")
        found = _serve(deployment, narrator, told)
        if on_result is not None:
            on_result(as_result(deployment, endpoint.bootstrap_servers, found))
        if stay:
            look_around(narrator, deployment, endpoint.bootstrap_servers)
    answered = len(found.scores.versions)
    if answered < _MODELS:
        narrator.text(f"Only {answered} of {_MODELS} models answered anything.")
    good = passes(found.judgement, waited=True) and answered == _MODELS
    leave(narrator, endpoint.bootstrap_servers, deployment.names, keep=stay or not good)
    return good


def _serve(deployment: LocalDeployment, narrator: Narrator, told: Streaming) -> Found:
    source = CsvEvents(told.file, deployment.spec, deployment.schema, label=told.label, dialect=told.dialect)
    batches = list(source)
    for line in (*source.absent, *source.survey.told):
        narrator.line(line)
    total = sum(map(len, batches))
    tenth = int(total * _WARM_UP_SHARE)
    served = list(after(batches, tenth))
    half = (total - tenth) // 2
    narrator.chapter(f"Two models: one trained on the first {tenth:,} of {total:,} rows, one on what came later too")
    older = _trained(deployment, "linear", batches, tenth)
    # when it takes over, the last labels of the first half have not come yet
    newer = _trained(deployment, "trees", batches, max(tenth, tenth + half - told.labels_after))
    _publish(deployment, narrator, older)
    narrator.chapter(f"The other {total - tenth:,} rows are served; half-way the second model takes over")
    swapped = threading.Event()
    traffic = Traffic(deployment.load(rate=told.rate, labels_after=told.labels_after), held(served, half, swapped))

    def swap() -> None:
        with narrator.waiting("the first half to be answered"):
            deployment.wait_drained()
        _publish(deployment, narrator, newer)
        swapped.set()

    for share, happens in sorted(
        [(half / (total - tenth), swap), *_faults(deployment, narrator, told.faults)], key=_share
    ):
        _wait_for(traffic, int((total - tenth) * share))
        happens()
    with narrator.waiting("the rest of the stream"):
        traffic.wait()
        deployment.wait_drained()
        deployment.wait_evaluated()
    narrator.line(f"{traffic.sent.events:,} events and {traffic.sent.labels:,} labels were sent")
    narrator.chapter("The topics are judged: freshet verify")
    found = look_back(narrator, deployment)
    narrator.text(row_before(Events.joined(served), classes=bool(deployment.spec.target.classes)))
    return found


def held(batches: Sequence[Events], rows: int, go_on: threading.Event) -> Iterator[Events]:
    """All of them, but after so many rows only once it may go on."""
    yield from first(batches, rows)
    go_on.wait()
    yield from after(batches, rows)


def row_before(events: Events, *, classes: bool) -> str:
    """The baseline of the literature, which supposes that each label comes before the next event."""
    labels = [label for label in events.labels or [] if label]
    errors = Errors()
    if classes:
        errors.add(np.array([now != before for before, now in pairwise(labels)], np.float64))
        worth = "–" if errors.mean_absolute is None else f"{1 - errors.mean_absolute:.1%} right"
    else:
        errors.add(np.diff(np.array(labels, np.float64)))
        worth = f"MAE / RMSE {errors.mean_absolute:.4g} / {errors.root_mean_square:.4g}" if errors.rows else "–"
    return f"For comparison, by the file alone: repeating the label of the row before gives {worth}."


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
        if deployment.spec.rollout.policy == "manual":
            deployment.ask("promote", verdict.version)
        rollout = deployment.wait_live(verdict.version)
    narrator.line(f"{title}: {verdict.state} as {verdict.version}, live in epoch {rollout.epoch}")


def _wait_for(traffic: Traffic, events: int) -> None:
    while traffic.running and traffic.sent.events < events:
        time.sleep(0.05)
