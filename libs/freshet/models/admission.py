"""Judges a candidate model: once, before anybody serves it, in a child process that can break without harm."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from freshet.contracts.messages import Manifest
from freshet.models.artifact import digest_of
from freshet.models.contract import Contract, Limits
from freshet.models.fork_server import ForkServer
from freshet.models.manifest import check_manifest, manifest_to_json
from freshet.models.sandbox import Ending, run_child
from freshet.models.verdict import AdmissionVerdict

__all__ = ["Contract", "Limits", "admit"]


CHILD: Final = "freshet.models.admission_child"
"""The module that judges, in a child process."""


def admit(
    data: bytes,
    manifest: Manifest,
    contract: Contract,
    stopped: Callable[[], bool] = lambda: False,
    *,
    server: ForkServer | None = None,
) -> AdmissionVerdict:
    """Judge these bytes: manifest, digest, graph, load, time, golden rows, memory, in this order.

    Blocks for up to `contract.limits.wall_s`; run it in a job. `server`, one of `CHILD`, saves the start of a process.
    Whatever is wrong with the model is a verdict, a crash
    or a timeout included. Raises SandboxError only if nobody could judge it, or waits for the verdict any more, which
    `stopped` says.
    """
    problems = check_manifest(manifest, contract)
    if problems:
        return AdmissionVerdict(False, "manifest_invalid", " ".join(problems))
    if len(data) != manifest.size_bytes:
        return AdmissionVerdict(
            False,
            "artifact_size",
            f"it holds {len(data)} bytes, the manifest says {manifest.size_bytes}: pack it again.",
        )
    if digest_of(data) != manifest.digest:
        return AdmissionVerdict(
            False,
            "artifact_digest",
            "its sha256 is not the manifest's: the bytes were damaged, or are another model's.",
        )
    request = {"manifest": manifest_to_json(manifest), "limits": asdict(contract.limits)}
    wall_s = contract.limits.wall_s
    if server is not None:
        ending = server.run(request, data, wall_s, stopped)
    else:
        ending = run_child(CHILD, request, data, wall_s, stopped)
    return _report(ending, contract.limits)


def _report(ending: Ending, limits: Limits) -> AdmissionVerdict:
    last = ending.lines[-1]
    if "verdict" in last:
        return _verdict(last["verdict"])
    step = last.get("step", "nonsense")
    if ending.code is None:
        return AdmissionVerdict(False, "model_timeout", f"{step} took longer than {limits.wall_s} s.")
    if ending.by_signal == "SIGXCPU":
        return AdmissionVerdict(False, "model_timeout", f"{step} used more than {limits.cpu_s} s of CPU.")
    how = ending.by_signal or f"exit code {ending.code}"
    return AdmissionVerdict(False, "model_crashed", f"{step} ended the sandbox with {how}.")


def _verdict(fields: Mapping[str, Any]) -> AdmissionVerdict:
    """The child's own words; it may be under a stranger's control by now, so that they are checked."""
    try:
        return TypeAdapter(AdmissionVerdict).validate_python(fields)
    except ValidationError:
        return AdmissionVerdict(False, "model_crashed", "the sandbox ended with nonsense for a verdict.")
