"""Inference as a service: `freshet run inference`."""

import atexit
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from freshet.contracts.logic import Job, Logic
from freshet.inference.core.crash_blame import Flight, blamed_loads
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.core.model_jobs import Loaded, LoadModel, RetireModel
from freshet.inference.guard import ScoreGuard
from freshet.inference.inflight import InFlightNote
from freshet.inference.loading import load_model, retire_model
from freshet.inference.running import PROCESS
from freshet.inference.state_folder import check_outlives_us
from freshet.runtime.bus.protocol import FatalError
from freshet.runtime.jobs import Runner, Stop
from freshet.runtime.recovery import InputReference
from freshet.runtime.service import Context, DataService
from freshet.runtime.trust_file import TrustFile, trust_file
from freshet.runtime.watchdog import Watchdog
from freshet.trust.pipeline_trust import no_keys


def _logic(context: Context) -> Logic:
    topic_id = context.bus.topic_id("features")
    if not topic_id:
        raise FatalError(
            f"topic {context.names.topic('features')} does not exist: publish the pipeline with `freshet apply` first."
        )
    check_outlives_us(context.settings.state_dir)
    scoring, loading = _note(context, topic_id, "inflight"), _note(context, topic_id, "loading")
    log = structlog.get_logger("inference")
    for death in scoring.deaths:
        log.warning(
            "died_while_scoring",
            version=death.flight.version,
            hung=death.hung,
            shared=death.shared,
            rows=death.flight.spans,
        )
    for death in loading.deaths:
        log.warning("died_while_loading", version=death.flight.version, shared=death.shared)
    keys = _followed(context.settings.trust)
    return InferenceLogic(
        context.names.pipeline,
        context.names.worker("inference", context.settings.slot),
        topic_id=topic_id,
        lane=context.names.lane,
        deaths=scoring.deaths,
        died_loading=blamed_loads(loading.deaths),
        guard=ScoreGuard(scoring, Watchdog().start()),
        keys=keys or no_keys,
    )


@cache
def _followed(path: Path | None) -> TrustFile | None:
    """One follower for all pipelines of the process."""
    return trust_file(path)


def _note(context: Context, topic_id: str, kind: str) -> InFlightNote:
    name = context.names.transactional_id("inference", context.settings.slot)
    return _opened(context.settings.state_dir / f"{name}.{kind}", topic_id)


@cache
def _opened(path: Path, topic_id: str) -> InFlightNote:
    """The note at this path: one for the whole process, since opening it again would take us for our successor."""
    try:
        note = InFlightNote.open(path, topic_id, PROCESS)
    except OSError as error:
        log = structlog.get_logger("inference")
        log.warning("no_inflight_note", path=str(path), error=str(error), advice="set FRESHET_STATE_DIR to a folder")
        return InFlightNote.in_memory()
    atexit.register(note.end)  # a load that is cut short because the process ends in good order is no death
    return note


def _runner(context: Context) -> Runner:
    topic_id = context.bus.topic_id("features")

    def run(job: Job[Any], _stop: Stop) -> Loaded | None:
        match job:
            case LoadModel():
                note = _note(context, topic_id, "loading")
                with PROCESS.load_turn():
                    note.begin(Flight(job.version, (), job.manifest.digest))
                    try:
                        return load_model(job, context.bus)
                    finally:
                        note.end()
            case RetireModel():
                retire_model(job)
                return None
        raise TypeError(f"inference runs no {type(job).__name__}.")

    return run


SERVICE = DataService(
    name="inference",
    logic=_logic,
    references=(
        InputReference(
            "predictions",
            "Prediction",
            "features",
            "features_partition",
            "features_offset",
            "features_topic",
            with_position=True,
        ),
    ),
    runner=_runner,
)
