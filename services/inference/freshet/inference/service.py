"""Inference as a service: `freshet run inference`."""

from freshet.contracts.logic import Logic
from freshet.inference.core.jobs import Loaded, LoadModel, RetireModel
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.loading import load_model, retire_model
from freshet.runtime.bus import FatalError
from freshet.runtime.jobs import Runner
from freshet.runtime.process import resident_bytes
from freshet.runtime.recovery import Trace
from freshet.runtime.service import Context, DataService


def _logic(context: Context) -> Logic:
    topic_id = context.bus.topic_id("features")
    if not topic_id:
        raise FatalError(
            f"topic {context.names.topic('features')} does not exist: publish the pipeline with `freshet apply` first."
        )
    return InferenceLogic(context.names.pipeline, context.instance, topic_id=topic_id, memory=resident_bytes)


def _runner(context: Context) -> Runner:
    def run(job: object) -> Loaded | None:
        match job:
            case LoadModel():
                return load_model(job, context.bus)
            case RetireModel():
                retire_model(job)
                return None
        raise TypeError(f"inference runs no {type(job).__name__}.")

    return run


SERVICE = DataService(
    name="inference",
    logic=_logic,
    traces=(
        Trace("predictions", "Prediction", "features", "features_partition", "features_offset", with_position=True),
    ),
    runner=_runner,
)
