"""The registry as a service: `freshet run registry`. One for all pipelines of a namespace."""

from importlib.util import find_spec
from typing import Any

import structlog

from freshet.contracts.logic import Decider, Job
from freshet.models.admission import CHILD
from freshet.models.fork_server import ForkServer
from freshet.models.sandbox import SandboxError, unguarded
from freshet.models.verdict import AdmissionVerdict
from freshet.registry.admitting import admit_candidate
from freshet.registry.core.admission_job import Admit
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime.jobs import Runner, Stop
from freshet.runtime.service import Context, ControlService
from freshet.runtime.settings import SettingsError

if missing := [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]:
    # only the sandboxed child imports them: without this, the registry would start, and never judge anything
    raise SettingsError(
        f"the registry judges models, and needs {' and '.join(missing)}, which is not installed: "
        "pip install 'freshet[registry]'."
    )


def _decider(_: Context) -> Decider:
    return RegistryDecider()


def _runner(context: Context) -> Runner:
    _look_at_sandbox()
    server = ForkServer(CHILD)
    server.start()

    def run(job: Job[Any], stop: Stop) -> AdmissionVerdict:
        if not isinstance(job, Admit):
            raise TypeError(f"the registry runs no {type(job).__name__}.")
        return admit_candidate(job, context.bus, stop, server)

    return run


def _look_at_sandbox() -> None:
    """Say at start what a hostile model could do on this machine; each decision on a candidate says it again."""
    log = structlog.get_logger("registry")
    try:
        missing = unguarded()
    except SandboxError as error:
        log.error("sandbox_does_not_start", error=str(error))
        return
    if missing:
        log.warning(
            "sandbox_unguarded",
            missing=missing,
            advice="admit models of people you trust, or allow it landlock and namespaces",
        )


SERVICE = ControlService(name="registry", decider=_decider, runner=_runner)
