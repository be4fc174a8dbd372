"""Judges a candidate model: once, before anybody serves it, in a child process that can break without harm."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from freshet.contracts.messages import Manifest
from freshet.models.artifact import digest_of
from freshet.models.contract import Contract, Limits
from freshet.models.manifest import check_manifest, manifest_to_json
from freshet.models.sandbox import Ending, run_child

__all__ = ["Contract", "Limits", "Report", "admit"]


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on a model. `reason` is '' if it is admitted, else a code of `freshet.models.errors`."""

    admitted: bool
    reason: str = ""
    detail: str = ""
    memory_bytes: int = 0
    """Resident memory of one session after warm-up."""
    p99_us: int = 0
    """99th percentile of the time of a full batch, in the sandbox."""
    unguarded: tuple[str, ...] = ()
    """What the sandbox could not be kept from on this machine; empty where everything is permitted."""


def admit(data: bytes, manifest: Manifest, contract: Contract) -> Report:
    """Judge these bytes: manifest, digest, graph, load, time, golden rows, memory, in this order.

    Blocks for up to `contract.limits.wall_s`; run it in a job. Whatever is wrong with the model is a Report, a crash or
    a timeout included. Raises SandboxError only if nobody could judge it.
    """
    problems = check_manifest(manifest, contract)
    if problems:
        return Report(False, "manifest_invalid", " ".join(problems))
    if len(data) != manifest.size_bytes:
        return Report(
            False,
            "artifact_size",
            f"it holds {len(data)} bytes, the manifest says {manifest.size_bytes}: pack it again.",
        )
    if digest_of(data) != manifest.digest:
        return Report(
            False,
            "artifact_digest",
            "its sha256 is not the manifest's: the bytes were damaged, or are another model's.",
        )
    request = {"manifest": manifest_to_json(manifest), "limits": asdict(contract.limits)}
    return _report(run_child("freshet.models.admission_child", request, data, contract.limits.wall_s), contract.limits)


def _report(ending: Ending, limits: Limits) -> Report:
    last = ending.lines[-1]
    if "verdict" in last:
        return _verdict(last["verdict"])
    step = last.get("step", "nonsense")
    if ending.code is None:
        return Report(False, "model_timeout", f"{step} took longer than {limits.wall_s} s.")
    if ending.by_signal == "SIGXCPU":
        return Report(False, "model_timeout", f"{step} used more than {limits.cpu_s} s of CPU.")
    how = ending.by_signal or f"exit code {ending.code}"
    return Report(False, "model_crashed", f"{step} ended the sandbox with {how}.")


def _verdict(fields: Mapping[str, Any]) -> Report:
    """The child's own words; it may be under a stranger's control by now, so that they are checked."""
    try:
        return TypeAdapter(Report).validate_python(fields)
    except ValidationError:
        return Report(False, "model_crashed", "the sandbox ended with nonsense for a verdict.")
