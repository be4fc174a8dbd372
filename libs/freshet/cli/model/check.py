"""`freshet model check`: the registry's admission, on this machine."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Bootstrap, Exit, Json, Namespace, connect, emit, reporting
from freshet.models.admission import Contract, Limits, admit
from freshet.models.bundle import Bundle
from freshet.models.verdict import AdmissionVerdict
from freshet.operate.target import target


@reporting
def check(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="What `model pack` wrote.")],
    pipeline: Annotated[
        str, typer.Option(metavar="FOLDER|NAME", help="For this one; by default that which the bundle was packed for.")
    ] = "",
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Judge a bundle in a sandbox as the registry would. Exits with 4 if it would be refused."""
    found = Bundle.load(bundle)
    spec, _ = target(pipeline or found.manifest.pipeline, lambda: connect(bootstrap, namespace))
    report = admit(
        found.data, found.manifest, Contract(spec.feature_names, spec.target.classes, Limits.of(spec.limits))
    )
    emit(asdict(report), _sentence(report), as_json=as_json)
    raise typer.Exit(Exit.OK if report.admitted else Exit.CHECK)


def _sentence(report: AdmissionVerdict) -> str:
    if not report.admitted:
        return f"it would be refused: {report.reason}: {report.detail}"
    unguarded = f" The sandbox here could not guard {', '.join(report.unguarded)}." if report.unguarded else ""
    return (
        f"it would be admitted: {report.memory_bytes / 1e6:.0f} MB in memory, full batches within "
        f"{report.p99_us / 1000:.1f} ms of CPU.{unguarded}"
    )
