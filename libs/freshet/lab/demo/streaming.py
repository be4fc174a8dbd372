"""A table of the user's served end to end, then judged, and counted again from its own rows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from freshet.lab import broker
from freshet.lab.demo.answer_book import AnswerBook
from freshet.lab.demo.leaving import leave, look_around
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.outcome import Found, as_result, look_back
from freshet.lab.demo.recount import Compared, compared, recount
from freshet.lab.demo.run_digests import digests
from freshet.lab.demo.served_table import ServedTable, serve_halves, serve_retrained
from freshet.lab.demo.stepwise import event_ids
from freshet.lab.demo.stream_folder import folder_for, name_of
from freshet.lab.local_deployment import LocalDeployment
from freshet.lab.logins import Logins
from freshet.operate.score.arithmetic import Errors
from freshet.operate.tables.events import Events
from freshet.operate.tables.new_pipeline import Roles
from freshet.operate.tables.table import Dialect
from freshet.operate.tables.table_events import CsvEvents
from freshet.operate.verify.judgement import passes


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
    retrain: int | None = None
    """Serve step by step, and have a model trained every so many labels (0: never)."""
    name: str | None = None
    """The pipeline's name; by default that of the file."""
    dialect: Dialect | None = None
    """How the table is written; by default found by looking."""


class Recounted(NamedTuple):
    """What a run gave beside what commands find: whether its quality is right, and its digests."""

    compared: Compared
    digests: dict[str, str]


def tell_stream(
    narrator: Narrator,
    home: Path,
    told: Streaming,
    *,
    stay: bool,
    on_result: Callable[[dict[str, Any]], None] | None = None,
) -> bool:
    """Serve the table on the local broker of the folder `home`, which is started if need be.

    Returns whether all promises were kept, evaluations are right, alarms come again, and both models answered (one,
    where retraining decides); `on_result` is given what was found.
    Its topics go at the end, unless it is not good or `stay` keeps them; with `stay` the services run on until
    an interrupt.
    """
    name = told.name or name_of(told.file, told.retrain)
    narrator.chapter(f"{told.file.name} as pipeline {name}")
    folder = folder_for(told.file, told.label, told.roles, name, narrator, dialect=told.dialect, retrain=told.retrain)
    endpoint = broker.up(home, say=narrator.line)
    namespace = f"stream{int(time.time())}."
    logs = Path(".local/logs") / namespace.rstrip(".")
    logins = Logins.at(home, endpoint)
    with LocalDeployment(endpoint.bootstrap_servers, namespace, folder, logs, logins=logins) as deployment:
        deployment.apply()
        deployment.start()
        narrator.line(f"services run with the prefix {namespace}; their logs are in {logs}")
        found, again = _serve(deployment, narrator, told)
        if on_result is not None:
            extra = {"recount": again.compared._asdict(), "digests": again.digests}
            on_result(as_result(deployment, endpoint.bootstrap_servers, found) | extra)
        if stay:
            look_around(narrator, deployment, endpoint.bootstrap_servers)
    models = 1 if told.retrain is not None or deployment.spec.retraining.triggers else 2
    answered = len(found.scores.versions)
    if answered < models:
        narrator.text(f"Only {answered} of {models} models answered anything.")
    good = passes(found.judgement, waited=True) and answered >= models and not again.compared.differences
    good = good and found.again.good
    if good and not stay:
        deployment.forget_rights()
    leave(narrator, endpoint.bootstrap_servers, deployment.names, keep=stay or not good)
    return good


def _serve(deployment: LocalDeployment, narrator: Narrator, told: Streaming) -> tuple[Found, Recounted]:
    source = CsvEvents(told.file, deployment.spec, deployment.schema, label=told.label, dialect=told.dialect)
    table = ServedTable(list(source), told.rate, told.labels_after, told.faults)
    for line in (*source.absent, *source.made_up, *source.survey.told):
        narrator.line(line)
    if told.retrain is None and not deployment.spec.retraining.triggers:
        sent = serve_halves(deployment, narrator, table)
    else:
        sent = serve_retrained(deployment, narrator, table, in_steps=told.retrain is not None)
    with narrator.waiting("the rest of the stream"):
        deployment.wait_drained()
        deployment.wait_evaluated()
    narrator.line(f"{sent.events:,} events and {sent.labels:,} labels were sent")
    narrator.chapter("The topics are judged: freshet verify")
    found = look_back(narrator, deployment)
    served = Events.joined(list(table.served()))
    narrator.text(row_before(served, classes=bool(deployment.spec.target.classes)))
    return found, _counted_again(deployment, narrator, served, found)


def _counted_again(deployment: LocalDeployment, narrator: Narrator, served: Events, found: Found) -> Recounted:
    spec = deployment.spec
    narrator.chapter("Quality counted again from predictions and table, and the digests of this run")
    ids = event_ids(served, spec)
    truths = {event: text for event, text in zip(ids, served.labels or [], strict=True) if text}
    with AnswerBook(deployment.bus, spec) as book:
        with narrator.waiting("all answers and labels to be read"):
            book.wait_answered(len(served))
            book.wait_labelled(truths.keys())
        early = sum(row.known_before for row in book.log)
        result = compared(found.quality, recount(book, truths, spec.target.classes), known_before=early)
        models = deployment.view.ledger.versions.records
        told = digests(book, models, found.trainings, found.evaluations, found.alarms)
    narrator.text(result.text)
    narrator.text("  ".join(f"{name} {digest}" for name, digest in told.items()))
    return Recounted(result, told)


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
