"""The registry's one job: fetch a candidate's bytes and have them judged in the sandbox. Runs beside the loop."""

from contextlib import closing
from typing import Final

from freshet.models.admission import Contract, Limits, admit
from freshet.models.fork_server import ForkServer
from freshet.models.manifest import check_manifest
from freshet.models.model_error import ModelError
from freshet.models.verdict import AdmissionVerdict
from freshet.registry.core.admission_job import Admit
from freshet.runtime.artifacts import fetch_model
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.jobs import Stop

_NOT_THE_MODELS_FAULT: Final = "artifact_unreachable"


def admit_candidate(job: Admit, bus: Bus, stop: Stop, server: ForkServer | None = None) -> AdmissionVerdict:
    """The verdict on a candidate. Blocks while chunks come, and then for up to a minute; a repeat judges the same.
    `server` as for `admit`.

    Missing chunks are a verdict. Raises ModelError if the broker cannot be read, and SandboxError if nobody can judge,
    or if it is told to stop.
    """
    manifest = job.candidate.manifest
    contract = Contract(job.feature_names, job.classes, Limits.of(job.limits))
    if problems := check_manifest(manifest, contract):  # before any byte of an oversize model is fetched
        return AdmissionVerdict(False, "manifest_invalid", " ".join(problems))
    try:
        with closing(fetch_model(manifest, job.candidate.chunk_offsets, bus)) as assembly:
            data = assembly.bytes()
    except ModelError as error:
        if error.reason == _NOT_THE_MODELS_FAULT:
            raise
        return AdmissionVerdict(False, error.reason, error.detail)
    return admit(data, manifest, contract, stop.is_set, server=server)
