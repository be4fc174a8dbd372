"""`freshet stream`: your own CSV served end to end, with a swap in the middle and, if you like, kills."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from freshet.cli.csv_events import CsvEvents, sample_rows
from freshet.cli.demo.narrator import Narrator
from freshet.cli.demo.traffic import Traffic
from freshet.cli.demo.training import train_and_pack
from freshet.cli.features import feature_rows
from freshet.cli.output import CommandError, Exit, reporting
from freshet.cli.verify.command import judged
from freshet.cli.verify.judge import Judgement
from freshet.cli.verify.report import passes, shown
from freshet.contracts.arrays import Floats32
from freshet.contracts.scaffold import infer_pipeline
from freshet.local import broker
from freshet.local.load import Events, first
from freshet.local.stage import Stage

_WARM_UP_SHARE: Final = 0.1
_SAMPLE_ROWS: Final = 1_000_000


@reporting
def stream(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv[.gz]", help="Its first line names the columns.")],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="What is to be predicted.")],
    entity: Annotated[str | None, typer.Option(metavar="COLUMN", help="What an event is about.")] = None,
    event_id: Annotated[str | None, typer.Option(metavar="COLUMN", help="The event's unique id.")] = None,
    event_time: Annotated[str | None, typer.Option(metavar="COLUMN", help="When it happened.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Events per second.")] = 2000.0,
    labels_after: Annotated[int, typer.Option(min=0, help="Send a label after so many more events.")] = 500,
    faults: Annotated[bool, typer.Option("--faults", help="SIGKILL each service once, and the broker.")] = False,
) -> None:
    """Infer a pipeline from a table, train on its first tenth, serve the rest, swap the model half-way, and verify.

    The pipeline's folder is written to .local/pipelines/NAME, for you to edit; the next run uses it as it is.
    """
    narrator = Narrator()
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
        judgement = _serve(
            stage, CsvEvents(file, stage.spec, stage.schema, label=label), narrator, rate, labels_after, faults
        )
    if not passes(judgement, waited=True):
        raise typer.Exit(Exit.CHECK)


def _serve(
    stage: Stage, source: CsvEvents, narrator: Narrator, rate: float, labels_after: int, faults: bool
) -> Judgement:
    batches = list(source)
    for line in source.survey.told:
        narrator.line(line)
    total = sum(map(len, batches))
    if not total:
        raise CommandError("the table has no rows.", Exit.USAGE)
    warm_up = Events.joined(list(first(batches, int(total * _WARM_UP_SHARE))))
    rows, labels = feature_rows(stage.spec, stage.schema, warm_up)
    known = [row for row, text in enumerate(labels) if text]
    rows, labels = rows[known], [labels[row] for row in known]
    narrator.chapter(f"A model trained on the first {len(labels):,} of {total:,} rows")
    _publish(stage, narrator, "linear", rows, labels)
    narrator.chapter("The whole stream is served")
    traffic = Traffic(stage.load(rate=rate, labels_after=labels_after), batches)
    for share, happens in _plan(stage, narrator, rows, labels, faults):
        _wait_for(traffic, int(total * share))
        happens()
    with narrator.waiting("the rest of the stream"):
        traffic.wait()
        stage.wait_drained()
    narrator.line(f"{traffic.sent.events:,} events and {traffic.sent.labels:,} labels were sent")
    narrator.chapter("The topics are judged: freshet verify")
    judgement = judged(stage.bus, stage.admin, stage.names)
    narrator.show(shown(judgement))
    return judgement


def _plan(
    stage: Stage, narrator: Narrator, rows: Floats32, labels: list[str], faults: bool
) -> Iterator[tuple[float, Callable[[], None]]]:
    """What happens at which share of the stream."""

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

    events = [(0.5, lambda: _publish(stage, narrator, "trees", rows, labels))]
    if faults:
        victims = (*stage.services[1:], "registry")
        shares = np.linspace(0.15, 0.45, len(victims)).tolist()
        events += [(share, kill(victim)) for share, victim in zip(shares, victims, strict=True)]
        events.append((0.75, kill_broker))
    return iter(sorted(events, key=lambda event: event[0]))


def _publish(stage: Stage, narrator: Narrator, kind: str, rows: Floats32, labels: list[str]) -> None:
    trained = train_and_pack(kind, rows, labels, stage.spec)
    with narrator.waiting("admission and rollout"):
        verdict = stage.offer(trained.bundle.data, trained.bundle.manifest)
        if stage.spec.rollout.policy == "manual":
            stage.ask("promote", verdict.version)
        rollout = stage.wait_live(verdict.version)
    narrator.line(
        f"{kind} model, {trained.merit} on what it was trained on: {verdict.state} as {verdict.version}, "
        f"live in epoch {rollout.epoch}"
    )


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
    header, rows = sample_rows(file, _SAMPLE_ROWS)
    entity, event_id, event_time = roles
    texts = infer_pipeline(
        name,
        header,
        rows,
        label,
        entity=entity,
        event_id=event_id,
        event_time=event_time,
        now_ms=int(time.time() * 1000),
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
