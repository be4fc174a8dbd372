"""What there is of models: versions, one of them in full, and what answers now."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from freshet.cli.output import Bootstrap, Exit, Json, Namespace, connect, emit, reporting, say, table
from freshet.contracts.messages import ModelVersion, Rollout
from freshet.ledger.held_partitions import held_partitions
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.workers import ALIVE
from freshet.operate.attendance import group_lines, service_line
from freshet.operate.errors import OperateError
from freshet.operate.facts import ledger_of, published
from freshet.operate.finding import Line
from freshet.operate.presence import RUN, presence
from freshet.operate.records import finite
from freshet.operate.roll_call import roll_call
from freshet.operate.times import ago, clock_time

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
    ledger = ledger_of(connect(bootstrap, namespace).bus(), "models", "rollouts")
    asked = [one.versions for one in ledger if pipeline in ("", one.name)]
    found = [model for one in asked for model in (*one.records.values(), *one.refusals.values())]
    document = []
    shown = table("pipeline", "version", "state", "now", "size", "sha256", "admitted", "why")
    for model in sorted(found, key=_order):
        row = _row(model, ledger.of(model.pipeline).part_of(model.version))
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
    ledger = ledger_of(connect(bootstrap, namespace).bus(), "models").of(pipeline)
    model = _find(ledger.versions.in_force(), version)
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
    called = roll_call(bus, "models", "rollouts", "cutovers", "commands", say=say)
    said, now_ms = called.ledger.of(pipeline), called.now_ms
    present = {service: presence(called.ledger, service, pipeline, now_ms) for service in RUN}
    lines = [*map(service_line, present.values()), *group_lines(connection, pipeline, present)]
    lines += [Line("control topics", "bad", said.alarm)] if said.alarm else []
    trouble = [line for line in lines if line.health != "ok"]
    document = _status_document(said, now_ms) | {"trouble": [asdict(line) for line in trouble]}
    emit(document, _status_shown(said, now_ms, trouble), as_json=as_json)
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


def _find(models: Sequence[ModelVersion], name: str) -> ModelVersion:
    exact = [model for model in models if model.version == name]
    found = exact or [model for model in models if name and model.manifest.digest.startswith(name)]
    if len(found) != 1:
        known = ", ".join(model.version for model in models if model.version) or "none yet"
        what = "several models of this pipeline begin with" if found else "no version or sha256 of this pipeline is"
        raise OperateError(f"{what} {name!r}; its versions are: {known}.", "failed")
    return found[0]


def _status_document(ledger: PipelineLedger, now_ms: int) -> dict[str, Any]:
    live = ledger.epochs.live
    return {
        "live": live.model_dump() if live else None,
        "preparing": [rollout.model_dump() for rollout in ledger.epochs.open],
        "workers": [
            {"alive": beat.state(now_ms) in ALIVE, "beat_ms": beat.timestamp_ms, **beat.worker.model_dump()}
            for _, beat in ledger.workers.of("inference", lane=None)
        ],
        "partitions": [asdict(at) for at in held_partitions(ledger, now_ms)],
    }


def _status_shown(ledger: PipelineLedger, now_ms: int, trouble: list[Line]) -> RenderableType:
    lines = [f"{line.about}: {line.seen}{f' → {line.do}' if line.do else ''}" for line in trouble]
    live = ledger.epochs.live
    lines += [_epoch(live, ledger) if live else "No model answers yet: no epoch is live."]
    lines += [f"preparing: {_epoch(rollout, ledger)}" for rollout in ledger.epochs.open]
    workers = table("worker", "lane", "beat", "loaded epoch", "resident", "quarantined", "memory")
    for _, beat in ledger.workers.of("inference", lane=None):
        state, heard = beat.worker, ago(beat.timestamp_ms, now_ms)
        told = heard if beat.state(now_ms) in ALIVE else f"left or dead, {heard}"
        memory = f"{state.memory_bytes / 1e6:.0f} MB"
        cells = (state.instance, state.lane, told, str(state.live_epoch), ", ".join(state.resident))
        workers.add_row(*cells, ", ".join(state.quarantined), memory)
    partitions = table("partition", "worker", "epoch", "fallback", "answered by", "since offset", "waits because")
    for at in held_partitions(ledger, now_ms):
        # a partition takes the epoch in force at its next record
        since = "no record yet" if at.since_offset is None else f"{at.since_offset:,}"
        row = (str(at.partition), at.worker, str(at.epoch), "yes" if at.fallback else "", at.version, since, at.held)
        partitions.add_row(*row)
    tables = [shown for shown in (workers, partitions) if shown.row_count]
    legend = [f"\n{_LEGEND}"] if tables else []
    return Group("\n".join(lines), *(part for shown in tables for part in ("", shown)), *legend)


def _epoch(rollout: Rollout, ledger: PipelineLedger) -> str:
    shares = ", ".join(f"{share.version} ({share.share / 100:g} %)" for share in rollout.table) or "no version"
    understudies = ", ".join(sorted(set(rollout.understudies.values()))) or "none"
    paused = "; rollouts are paused" if rollout.paused else ""
    return f"epoch {rollout.epoch}: {shares}; understudy {understudies}{paused}; because: {why(rollout, ledger)}"


def why(rollout: Rollout, ledger: PipelineLedger) -> str:
    """What led to an epoch: who asked for it and when, where a command did."""
    asked = ledger.commands.named_by(rollout)
    if asked is None:
        return rollout.cause
    note = f" ({asked.command.text})" if asked.command.text else ""
    who, at = asked.command.by or "somebody", clock_time(asked.timestamp_ms)
    return f"{rollout.cause} by {who} at {at}{note}"
