"""The registry as a service: `freshet run registry`. One for all pipelines of a namespace."""

from freshet.contracts.logic import Decider
from freshet.registry.admitting import admit_candidate
from freshet.registry.core.decider import RegistryDecider
from freshet.registry.core.jobs import Admit, Report
from freshet.runtime.jobs import Runner
from freshet.runtime.service import Context, ControlService


def _decider(_context: Context) -> Decider:
    return RegistryDecider()


def _runner(context: Context) -> Runner:
    def run(job: object) -> Report:
        if not isinstance(job, Admit):
            raise TypeError(f"the registry runs no {type(job).__name__}.")
        return admit_candidate(job, context.bus)

    return run


SERVICE = ControlService(name="registry", decider=_decider, runner=_runner)
