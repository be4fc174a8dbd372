"""What there is of models: versions, one of them in full, and what answers now."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType

from freshet.cli.output import PIPELINE, Bootstrap, Exit, Json, Namespace, connect, emit, reporting, table
from freshet.cli.trust_option import Trust, trusted_keys
from freshet.contracts.messages import Rollout
from freshet.ledger.ledger import PipelineLedger
from freshet.models.manifest import refuses
from freshet.operate.facts import ledger_of
from freshet.operate.model_status import ModelStatus, find_version, model_status, version_rows, why
from freshet.operate.notes import Note, notes_on, tags_of
from freshet.operate.records import finite
from freshet.operate.signers import signed_by, signers
from freshet.operate.times import ago, clock_time

Pipeline = Annotated[str, typer.Option(help="Whose models."), PIPELINE]

_LEGEND: Final = (
    "epoch: which version answers, numbered; a partition takes it at its next event, and `since offset` is the first "
    "that it answered so.\nunderstudy: the version that answers what the first one fails on; a partition says so under "
    "`fallback`.\nbeat: when the worker last said how it is; resident: the versions that it keeps loaded; lane: serve, "
    "where answers are published.\nMore words: docs/glossary.md."
)


@reporting
def list_command(
    pipeline: Annotated[str, typer.Option(help="Whose models; by default everybody's."), PIPELINE] = "",
    trust: Trust = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """List versions, the newest last, and candidates that were refused.

    Of signed ones it says with which keys, and by the trust file whether each counts.
    """
    keys = trusted_keys(trust)
    ledger = ledger_of(connect(bootstrap, namespace).bus(), "models", "rollouts")
    rows = version_rows(ledger, pipeline, keys)
    signed = ["signed by"] if any(row["signed_by"] for row in rows) else []
    shown = table("pipeline", "version", "state", "now", "size", "sha256", "admitted", *signed, "why")
    for row in rows:
        at = clock_time(row["since_ms"]) if row["since_ms"] else ""
        size = f"{row['size_bytes'] / 1024:,.0f} KiB"
        cells = (row["pipeline"], row["version"], row["state"], row["now"], size, row["sha256"][:12], at)
        shown.add_row(*cells, *([signed_by(row["signed_by"])] if signed else []), row["reason"])
    emit(rows, shown if rows else "No model was ever judged here.", as_json=as_json)


@reporting
def show(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Or the first digits of its sha256.")],
    pipeline: Pipeline,
    trust: Trust = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print everything about one version: contract, lineage, metrics, history, and which keys have signed it."""
    keys = trusted_keys(trust)
    ledger = ledger_of(connect(bootstrap, namespace).bus(), "models").of(pipeline)
    model = find_version(ledger, version)
    document, tags = finite(model.model_dump()), tags_of(notes_on(model))
    manifest, signed = document["manifest"], signers(model, keys)
    lines = [
        f"{pipeline} {model.version or '(no version)'}: {model.state}; {model.reason}",
        f"sha256: {manifest['digest']}, {manifest['size_bytes']:,} bytes in {len(manifest['chunk_digests'])} chunks",
        f"inputs: {', '.join(manifest['inputs'])}",
        f"classes: {', '.join(manifest['classes']) or 'none, it predicts a value'}",
        *([f"it {refuses(manifest['required'])}."] if manifest["required"] else []),
        f"signed by: {signed_by(signed) or 'nobody'}",
        f"trainer: {manifest['trainer']}",
        *(f"lineage {name}: {value}" for name, value in sorted(manifest["lineage"].items())),
        *(f"metric {name}: {value}" for name, value in sorted(manifest["metrics"].items())),
        f"memory: {model.memory_bytes / 1e6:.1f} MB",
        *(f"tag {name}: {value}" for name, value in tags.items()),
        *(f"{clock_time(change.at_ms)} {change.what}" for change in model.history),
    ]
    emit({**document, "tags": tags, "signed_by": signed}, "\n".join(lines), as_json=as_json)


@reporting
def status(
    pipeline: Pipeline,
    trust: Trust = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print the live epoch, open prepares, workers, and where each partition is in history.

    With the trust file, as a process that starts now with it: only what trusted keys have signed counts. Exits with 4
    if a service has stopped, or if records wait that nobody is there to read.
    """
    keys = trusted_keys(trust)
    found = model_status(connect(bootstrap, namespace), pipeline, keys)
    emit(found.document(), status_shown(found), as_json=as_json)
    raise typer.Exit(Exit.CHECK if found.bad else Exit.OK)


def status_shown(found: ModelStatus) -> RenderableType:
    """The live epoch and what its versions refuse, what is being prepared, workers and partitions."""
    epochs, ledger = found.ledger.epochs, found.ledger
    lines = [f"{line.about}: {line.seen}{f' → {line.do}' if line.do else ''}" for line in found.trouble]
    lines += [_epoch(epochs.live, ledger) if epochs.live else "No model answers yet: no epoch is live."]
    lines += [f"{version} {refuses(names)}." for version, names in found.required.items()]
    lines += [f"preparing: {_epoch(rollout, ledger)}" for rollout in epochs.open]
    workers = table("worker", "lane", "beat", "loaded epoch", "resident", "quarantined", "memory")
    for beat in found.workers:
        state, heard = beat.worker, ago(beat.timestamp_ms, found.now_ms)
        told = heard if found.alive(beat) else f"left or dead, {heard}"
        memory = f"{state.memory_bytes / 1e6:.0f} MB"
        cells = (state.instance, state.lane, told, str(state.live_epoch), ", ".join(state.resident))
        workers.add_row(*cells, ", ".join(state.quarantined), memory)
    partitions = table("partition", "worker", "epoch", "fallback", "answered by", "since offset", "waits because")
    for at in found.partitions:
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


def note_lines(notes: Sequence[Note]) -> dict[str, str]:
    """Tags and notes as lines of a table, by what stands before them."""
    tags = ", ".join(f"{name}={value}" for name, value in tags_of(notes).items())
    texts = "\n".join(f"{clock_time(note.at_ms)} {note.by}: {note.text}" for note in notes)
    return {name: text for name, text in (("tags", tags), ("notes", texts)) if text}
