"""`freshet stream`: your own CSV served end to end, with a swap in the middle and, if you like, kills."""

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from freshet.cli.csv_events import CsvEvents
from freshet.cli.demo.leaving import leave, look_around
from freshet.cli.demo.narrator import Narrator
from freshet.cli.demo.outcome import as_result, show_examples, show_scores
from freshet.cli.demo.traffic import Traffic
from freshet.cli.demo.training import Trained, train_and_pack
from freshet.cli.features import feature_rows
from freshet.cli.output import CommandError, Exit, Json, emit, reporting
from freshet.cli.score.core import Errors, Scoring
from freshet.cli.tables import Table, dialect_attribute
from freshet.cli.verify.command import judged
from freshet.cli.verify.judge import Judgement
from freshet.cli.verify.report import passes, shown
from freshet.lab import broker
from freshet.lab.load import Events, after, first
from freshet.lab.stage import Stage
from freshet.operate.scaffold import infer_pipeline

_WARM_UP_SHARE: Final = 0.1
_SAMPLE_ROWS: Final = 1_000_000
_MODELS: Final = 2


@reporting
def stream(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv[.gz]", help="Its first line names the columns.")],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="What is to be predicted.")],
    entity: Annotated[str | None, typer.Option(metavar="COLUMN", help="What an event is about.")] = None,
    event_id: Annotated[str | None, typer.Option(metavar="COLUMN", help="The event's unique id.")] = None,
    event_time: Annotated[str | None, typer.Option(metavar="COLUMN", help="When it happened.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Events per second.")] = 2000.0,
    labels_after: Annotated[int, typer.Option(min=0, help="Send a label after so many more events.")] = 500,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running until Ctrl-C, and its topics.")] = False,
    faults: Annotated[bool, typer.Option("--faults", help="SIGKILL each service once, and the broker.")] = False,
    as_json: Json = False,
) -> None:
    """Infer a pipeline from a table, train on its first tenth, serve the rest, swap the model half-way, and verify.

    The second model, trained on what came until then, answers the second half: the stream is held until it is live.
    The pipeline's folder is written to .local/pipelines/NAME, for you to edit; the next run uses it as it is.
    Each run has topics of its own, which go at its end if all promises were kept and both models answered; else it
    exits with 4. With --json the story goes to stderr, and what verify and score found to stdout.
    """
    narrator = Narrator(stderr=as_json)
    name = _name(file)
    narrator.chapter(f"{file.name} as pipeline {name}")
    folder = _folder(name, file, label, (entity, event_id, event_time), narrator)
    endpoint = broker.up(Path.cwd(), say=narrator.line)
    namespace = f"stream{int(time.time())}."
    logs = Path(".local/logs") / namespace.rstrip(".")
    with Stage(endpoint.bootstrap_servers, namespace, folder, logs) as stage:
        stage.apply()
        stage.start()
        narrator.line(f"services run with the prefix {namespace}; their logs are in {logs}")
        source = CsvEvents(file, stage.spec, stage.schema, label=label)
        judgement, scores = _serve(stage, source, narrator, rate, labels_after, faults)
        if stay:
            look_around(narrator, stage, endpoint.bootstrap_servers)
    if len(scores.versions) < _MODELS:
        narrator.console.print(f"Only {len(scores.versions)} of {_MODELS} models answered anything.", markup=False)
    if as_json:
        emit(as_result(stage, endpoint.bootstrap_servers, judgement, scores), "", as_json=True)
    good = passes(judgement, waited=True) and len(scores.versions) == _MODELS
    leave(narrator, endpoint.bootstrap_servers, stage.names, keep=stay or not good)
    if not good:
        raise typer.Exit(Exit.CHECK)


def _serve(
    stage: Stage, source: CsvEvents, narrator: Narrator, rate: float, labels_after: int, faults: bool
) -> tuple[Judgement, Scoring]:
    batches = list(source)
    for line in source.survey.told:
        narrator.line(line)
    total = sum(map(len, batches))
    tenth = int(total * _WARM_UP_SHARE)
    served = list(after(batches, tenth))
    half = (total - tenth) // 2
    narrator.chapter(f"Two models: one trained on the first {tenth:,} of {total:,} rows, one on what came later too")
    older = _trained(stage, "linear", batches, tenth)
    # when it takes over, the last labels of the first half have not come yet
    newer = _trained(stage, "trees", batches, max(tenth, tenth + half - labels_after))
    _publish(stage, narrator, older)
    narrator.chapter(f"The other {total - tenth:,} rows are served; half-way the second model takes over")
    swapped = threading.Event()
    traffic = Traffic(stage.load(rate=rate, labels_after=labels_after), held(served, half, swapped))

    def swap() -> None:
        with narrator.waiting("the first half to be answered"):
            stage.wait_drained()
        _publish(stage, narrator, newer)
        swapped.set()

    for share, happens in sorted([(half / (total - tenth), swap), *_faults(stage, narrator, faults)], key=_share):
        _wait_for(traffic, int((total - tenth) * share))
        happens()
    with narrator.waiting("the rest of the stream"):
        traffic.wait()
        stage.wait_drained()
    narrator.line(f"{traffic.sent.events:,} events and {traffic.sent.labels:,} labels were sent")
    narrator.chapter("The topics are judged: freshet verify")
    judgement = judged(stage.bus, stage.admin, stage.names)
    narrator.show(shown(judgement))
    scores = show_scores(narrator, stage)
    narrator.console.print(row_before(Events.joined(served), classes=bool(stage.spec.target.classes)), markup=False)
    show_examples(narrator, stage)
    return judgement, scores


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


def _faults(stage: Stage, narrator: Narrator, faults: bool) -> list[tuple[float, Callable[[], None]]]:
    """What is killed at which share of the stream."""

    def kill(service: str) -> Callable[[], None]:
        def happens() -> None:
            pid = stage.supervisor.kill(service)
            narrator.line(f"SIGKILL to {service} (pid {pid})")

        return happens

    def kill_broker() -> None:
        broker.kill(Path.cwd())
        narrator.line("SIGKILL to the broker")
        broker.up(Path.cwd(), say=narrator.line)
        narrator.line("the broker is back on its data")

    victims = (*stage.services[1:], "registry")
    shares = np.linspace(0.15, 0.45, len(victims)).tolist()
    kills = [(share, kill(victim)) for share, victim in zip(shares, victims, strict=True)]
    return [*kills, (0.75, kill_broker)] if faults else []


def _share(event: tuple[float, Callable[[], None]]) -> float:
    return event[0]


def _trained(stage: Stage, kind: str, batches: Sequence[Events], rows: int) -> tuple[str, Trained]:
    """A model trained on those of the first rows that have a label, and what to call it."""
    events = Events.joined(list(first(batches, rows)))
    values, labels = feature_rows(stage.spec, stage.schema, events)
    known = [row for row, text in enumerate(labels) if text]
    trained = train_and_pack(kind, values[known], [labels[row] for row in known], stage.spec)
    return f"{kind} model, trained on {len(known):,} rows", trained


def _publish(stage: Stage, narrator: Narrator, made: tuple[str, Trained]) -> None:
    title, trained = made
    with narrator.waiting("admission and rollout"):
        verdict = stage.offer(trained.bundle.data, trained.bundle.manifest)
        if not verdict.version:
            raise CommandError(f"the registry refused the {title}: {verdict.reason}", Exit.FAILURE)
        if stage.spec.rollout.policy == "manual":
            stage.ask("promote", verdict.version)
        rollout = stage.wait_live(verdict.version)
    narrator.line(f"{title}: {verdict.state} as {verdict.version}, live in epoch {rollout.epoch}")


def _wait_for(traffic: Traffic, events: int) -> None:
    while traffic.running and traffic.sent.events < events:
        time.sleep(0.05)


def _folder(
    name: str, file: Path, label: str, roles: tuple[str | None, str | None, str | None], narrator: Narrator
) -> Path:
    folder = Path(".local/pipelines") / name
    if (folder / "pipeline.yaml").exists():
        narrator.line(f"using {folder} as it is")
        return folder
    found = Table(file)
    rows = [line.cells for line in itertools.islice(found, _SAMPLE_ROWS)]
    entity, event_id, event_time = roles
    texts = infer_pipeline(
        name,
        found.titles,
        rows,
        label,
        entity=entity,
        event_id=event_id,
        event_time=event_time,
        now_ms=int(time.time() * 1000),
        attributes=dialect_attribute(found),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip((folder / "pipeline.yaml", folder / "event.avsc"), texts[:2], strict=True):
        path.write_text(text, encoding="utf-8")
    for line in texts.told:
        narrator.line(line)
    narrator.line(f"wrote {folder}/pipeline.yaml and event.avsc from the table: edit them, and run again")
    return folder


def _name(file: Path) -> str:
    """A pipeline name from a file name."""
    stem = file.name.removesuffix(".gz").removesuffix(".csv").lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:40] or "stream"
