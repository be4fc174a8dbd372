"""The registry as a service: `freshet run registry`. One for all pipelines of a namespace."""

from importlib.util import find_spec
from typing import Any

from freshet.contracts.logic import Decider, Job
from freshet.models.admission import CHILD
from freshet.models.fork_server import ForkServer
from freshet.models.verdict import AdmissionVerdict
from freshet.registry.admitting import admit_candidate
from freshet.registry.core.admission_job import Admit
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime.jobs import Runner, Stop
from freshet.runtime.sandbox_at_start import say_unguarded
from freshet.runtime.service import Context, ControlService
from freshet.runtime.settings import SettingsError
from freshet.runtime.trust_file import release_signer, trust_file
from freshet.trust.pipeline_trust import no_keys

if missing := [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]:
    # only the sandboxed child imports them: without this, the registry would start, and never judge anything
    raise SettingsError(
        f"the registry judges models, and needs {' and '.join(missing)}, which is not installed: "
        "pip install 'freshet[registry]'."
    )


def _decider(context: Context) -> Decider:
    settings = context.settings
    keys = trust_file(settings.trust)
    return RegistryDecider(keys or no_keys, release_signer(settings, keys))


def _runner(context: Context) -> Runner:
    server = ForkServer(CHILD)
    server.start()  # it imports while the next line is found out
    say_unguarded("registry", "admit models of people you trust, or allow it landlock and namespaces")

    def run(job: Job[Any], stop: Stop) -> AdmissionVerdict:
        if not isinstance(job, Admit):
            raise TypeError(f"the registry runs no {type(job).__name__}.")
        return admit_candidate(job, context.bus, stop, server)

    return run


SERVICE = ControlService(name="registry", decider=_decider, runner=_runner)
