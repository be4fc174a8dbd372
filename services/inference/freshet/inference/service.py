"""Inference as a service: `freshet run inference`."""

import structlog

from freshet.contracts.logic import Logic
from freshet.inference.core.jobs import Loaded, LoadModel, RetireModel
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.guard import ScoreGuard
from freshet.inference.inflight import InFlightNote
from freshet.inference.loading import load_model, retire_model
from freshet.runtime.bus import FatalError
from freshet.runtime.jobs import Runner
from freshet.runtime.process import resident_bytes
from freshet.runtime.recovery import Trace
from freshet.runtime.service import Context, DataService
from freshet.runtime.watchdog import Watchdog


def _logic(context: Context) -> Logic:
    topic_id = context.bus.topic_id("features")
    if not topic_id:
        raise FatalError(
            f"topic {context.names.topic('features')} does not exist: publish the pipeline with `freshet apply` first."
        )
    note = _note(context, topic_id)
    return InferenceLogic(
        context.names.pipeline,
        context.instance,
        topic_id=topic_id,
        memory=resident_bytes,
        deaths=note.deaths,
        guard=ScoreGuard(note, Watchdog().start()),
    )


def _note(context: Context, topic_id: str) -> InFlightNote:
    log = structlog.get_logger("inference")
    name = context.names.transactional_id("inference", context.settings.slot)
    path = context.settings.state_dir / f"{name}.inflight"
    try:
        note = InFlightNote.open(path, topic_id)
    except OSError as error:
        log.warning("no_inflight_note", path=str(path), error=str(error), advice="set FRESHET_STATE_DIR to a folder")
        return InFlightNote.in_memory()
    for death in note.deaths:
        log.warning("died_while_scoring", version=death.flight.version, hung=death.hung, rows=death.flight.spans)
    return note


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
