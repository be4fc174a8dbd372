"""What there is of models: versions, one of them in full, and what answers now."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from freshet.cli.attendance import group_lines, service_line
from freshet.cli.control import newest, published, read
from freshet.cli.finding import Line
from freshet.cli.model.standing import ROLES, Standing
from freshet.cli.output import Bootstrap, CommandError, Exit, Json, Namespace, connect, emit, reporting, table
from freshet.cli.records import finite
from freshet.cli.roll_call import roll_call
from freshet.cli.times import ago, clock_time
from freshet.contracts.messages import ModelVersion, Rollout

Pipeline = Annotated[str, typer.Option(help="Whose models.")]

_LEGEND: Final = (
    "epoch: which version answers, numbered; a partition takes it at its next event, and `since offset` is the first "
    "that it answered so.\nunderstudy: the version that answers what the first one fails on; a partition says so under "
    "`fallback`.\nbeat: when the worker last said how it is; resident: the versions that it keeps loaded; lane: serve, "
    "where answers are published.\nMore words: docs/glossary.md."
)


@reporting
def list_command(
    pipeline: Annotated[str, typer.Option(help="Whose models; by default everybody's.")] = "",
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """List versions, the newest last, and candidates that were refused."""
    facts = read(connect(bootstrap, namespace).bus(), "models", "rollouts")
    found = [one.message for one in newest(facts, ModelVersion).values() if pipeline in ("", one.message.pipeline)]
    standings = {name: Standing(name, facts, 0) for name in {model.pipeline for model in found}}
    document = []
    shown = table("pipeline", "version", "state", "now", "size", "sha256", "admitted", "why")
    for model in sorted(found, key=_order):
        row = _row(model, standings[model.pipeline].part_of(model.version))
        document.append(row)
        at = clock_time(row["since_ms"]) if row["since_ms"] else ""
        size = f"{row['size_bytes'] / 1024:,.0f} KiB"
        cells = (row["pipeline"], row["version"], row["state"], row["now"], size, row["sha256"][:12], at, row["reason"])
        shown.add_row(*cells)
    emit(document, shown if found else "No model was ever judged here.", as_json=as_json)


@reporting
def show(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Or the first digits of its sha256.")],
    pipeline: Pipeline,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print everything about one version: contract, lineage, metrics and history."""
    facts = read(connect(bootstrap, namespace).bus(), "models", "rollouts")
    model = _find(Standing(pipeline, facts, 0), version)
    document = finite(model.model_dump())
    manifest = document["manifest"]
    lines = [
        f"{pipeline} {model.version or '(no version)'}: {model.state}; {model.reason}",
        f"sha256: {manifest['digest']}, {manifest['size_bytes']:,} bytes in {len(manifest['chunk_digests'])} chunks",
        f"inputs: {', '.join(manifest['inputs'])}",
        f"classes: {', '.join(manifest['classes']) or 'none, it predicts a value'}",
        f"trainer: {manifest['trainer']}",
        *(f"lineage {name}: {value}" for name, value in sorted(manifest["lineage"].items())),
        *(f"metric {name}: {value}" for name, value in sorted(manifest["metrics"].items())),
        f"memory: {model.memory_bytes / 1e6:.1f} MB",
        *(f"{clock_time(change.at_ms)} {change.what}" for change in model.history),
    ]
    emit(document, "\n".join(lines), as_json=as_json)


@reporting
def status(
    pipeline: Pipeline,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print the live epoch, open prepares, workers, and where each partition is in history.

    Exits with 4 if a service has stopped, or if records wait that nobody is there to read.
    """
    connection = connect(bootstrap, namespace)
    bus = connection.bus()
    published(bus, pipeline)  # a misspelt name would have no model
    called = roll_call(bus, *ROLES)
    standing = Standing(pipeline, called.facts, called.now_ms)
    present = {found.service: found for found in standing.services}
    lines = [*map(service_line, standing.services), *group_lines(connection, pipeline, present)]
    trouble = [line for line in lines if line.health != "ok"]
    document = _status_document(standing) | {"trouble": [asdict(line) for line in trouble]}
    emit(document, _status_shown(standing, called.now_ms, trouble), as_json=as_json)
    raise typer.Exit(Exit.CHECK if any(line.health == "bad" for line in trouble) else Exit.OK)


def _order(model: ModelVersion) -> tuple[str, list[int], int]:
    numbers = [int(part) for part in model.version.split(".")] if model.version else []
    return model.pipeline, numbers, model.history[0].at_ms if model.history else 0


def _row(model: ModelVersion, now: str) -> dict[str, Any]:
    return {
        "pipeline": model.pipeline,
        "version": model.version,
        "state": model.state,
        "now": now,
        "size_bytes": model.manifest.size_bytes,
        "sha256": model.manifest.digest,
        "since_ms": model.history[0].at_ms if model.history else 0,
        "reason": model.reason,
    }


def _find(standing: Standing, name: str) -> ModelVersion:
    exact = [model for model in standing.models if model.version == name]
    found = exact or [model for model in standing.models if name and model.manifest.digest.startswith(name)]
    if len(found) != 1:
        known = ", ".join(model.version for model in standing.models if model.version) or "none yet"
        what = "several models of this pipeline begin with" if found else "no version or sha256 of this pipeline is"
        raise CommandError(f"{what} {name!r}; its versions are: {known}.", Exit.FAILURE)
    return found[0]


def _status_document(standing: Standing) -> dict[str, Any]:
    return {
        "live": standing.live.model_dump() if standing.live else None,
        "preparing": [rollout.model_dump() for rollout in standing.preparing],
        "workers": [
            {"alive": worker.alive, "beat_ms": worker.beat_ms, **worker.state.model_dump()}
            for worker in standing.workers
        ],
        "partitions": [
            {
                "partition": at.partition,
                "worker": at.worker,
                "epoch": at.epoch,
                "fallback": at.fallback,
                "version": at.version,
                "held": at.held,
                "since_offset": at.since_offset,
            }
            for at in standing.partitions()
        ],
    }


def _status_shown(standing: Standing, now_ms: int, trouble: list[Line]) -> RenderableType:
    lines = [f"{line.about}: {line.seen}{f' → {line.do}' if line.do else ''}" for line in trouble]
    lines += [_epoch(standing.live, standing) if standing.live else "No model answers yet: no epoch is live."]
    lines += [f"preparing: {_epoch(rollout, standing)}" for rollout in standing.preparing]
    workers = table("worker", "lane", "beat", "loaded epoch", "resident", "quarantined", "memory")
    for worker in standing.workers:
        state = worker.state
        beat = ago(worker.beat_ms, now_ms) if worker.alive else f"left or dead, {ago(worker.beat_ms, now_ms)}"
        memory = f"{state.memory_bytes / 1e6:.0f} MB"
        cells = (state.instance, state.lane, beat, str(state.live_epoch), ", ".join(state.resident))
        workers.add_row(*cells, ", ".join(state.quarantined), memory)
    partitions = table("partition", "worker", "epoch", "fallback", "answered by", "since offset", "waits because")
    for at in standing.partitions():
        # a partition takes the epoch in force at its next record
        since = "no record yet" if at.since_offset is None else f"{at.since_offset:,}"
        row = (str(at.partition), at.worker, str(at.epoch), "yes" if at.fallback else "", at.version, since, at.held)
        partitions.add_row(*row)
    tables = [shown for shown in (workers, partitions) if shown.row_count]
    legend = [f"\n{_LEGEND}"] if tables else []
    return Group("\n".join(lines), *(part for shown in tables for part in ("", shown)), *legend)


def _epoch(rollout: Rollout, standing: Standing) -> str:
    shares = ", ".join(f"{share.version} ({share.share / 100:g} %)" for share in rollout.table) or "no version"
    understudies = ", ".join(sorted(set(rollout.understudies.values()))) or "none"
    paused = "; rollouts are paused" if rollout.paused else ""
    return f"epoch {rollout.epoch}: {shares}; understudy {understudies}{paused}; because: {standing.why(rollout)}"
