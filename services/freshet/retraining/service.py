"""Retraining as a service: `freshet run retraining`. One for all pipelines of a namespace."""

from importlib.util import find_spec
from typing import Any

from freshet.contracts.logic import Decider, Job
from freshet.retraining.core.retraining_decider import RetrainingDecider
from freshet.retraining.core.train_job import Measure, Measured, Train, Trained
from freshet.retraining.log_reading import measure
from freshet.retraining.provenance import code_digest
from freshet.retraining.row_archive import RowArchive
from freshet.retraining.training_run import train, training_server
from freshet.runtime.jobs import Runner, Stop
from freshet.runtime.sandbox_at_start import say_unguarded
from freshet.runtime.service import Context, ControlService
from freshet.runtime.settings import SettingsError
from freshet.runtime.trust_file import TrustFile, builder_signer

if missing := [name for name in ("onnx", "onnxruntime", "sklearn", "skl2onnx") if find_spec(name) is None]:
    # only the child that trains imports them: without this, retraining would start, and each training fail
    raise SettingsError(
        f"retraining trains models, and needs {' and '.join(missing)}, which is not installed: "
        "pip install 'freshet[retraining]'."
    )


def _decider(_: Context) -> Decider:
    return RetrainingDecider(code_digest)


def _runner(context: Context) -> Runner:
    say_unguarded("retraining", "use trainers and models of people you trust, or allow it landlock and namespaces")
    settings = context.settings
    signer = builder_signer(settings, TrustFile(settings.trust) if settings.trust else None)
    archive, server, programs = RowArchive(), training_server(), settings.trainer_programs

    def run(job: Job[Any], stop: Stop) -> Trained | Measured:
        bus = context.bus.of_pipeline(job.pipeline) if isinstance(job, Train | Measure) else context.bus
        match job:
            case Train():
                return train(job, bus, stop, programs, archive=archive, server=server, signer=signer)
            case Measure():
                return measure(job, bus)
        raise TypeError(f"retraining runs no {type(job).__name__}.")

    return run


SERVICE = ControlService(name="retraining", decider=_decider, runner=_runner, jobs_at_once=2)
"""Two jobs: while one pipeline's model is trained, another's log can be looked at."""
