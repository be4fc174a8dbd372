"""What every logic without state promises: its answers follow from its inputs, whatever happens to its workers."""

from random import Random
from typing import Any

from freshet.contracts.logic import Job
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.core.model_jobs import Loaded, LoadModel
from freshet.inference.service import SERVICE as INFERENCE
from freshet.ingestion.core.logic import IngestionLogic
from freshet.ingestion.service import SERVICE as INGESTION
from freshet.runtime.jobs import Stop
from freshet.testing import MemoryPipeline, check_logic
from support.inference import FakeScorer, model, rollout, sound, specification, vector
from support.ingestion import SPEC_TEXT, applied, framed, framed_feedback, loan

PIPELINE = "p"
AT_MS = MemoryPipeline("clock").cluster.now_ms


def test_ingestion() -> None:
    """Events and feedback of all sorts: good ones, ones without a value that is required, and junk."""

    def row(chance: Random, role: str) -> tuple[bytes | None, bytes]:
        name = f"e{chance.randrange(10**6)}"
        if chance.random() < 0.2:
            return b"junk", chance.randbytes(9)
        if role == "feedback":
            return b"ada", framed_feedback(event_id=name, label=chance.choice(["approved", "maybe"]), labelled_at=AT_MS)
        person = chance.choice(["ada", "bob", "cy", ""])
        return b"any", framed(loan(event_id=name, applicant=person, at=AT_MS))

    def prepare(pipeline: MemoryPipeline) -> None:
        message = applied(SPEC_TEXT.replace("pipeline: loans", f"pipeline: {PIPELINE}")).message
        assert message is not None
        pipeline.tell("pipelines", f"{PIPELINE}/1", message.model_copy(update={"pipeline": PIPELINE}))

    check_logic(lambda: IngestionLogic(PIPELINE), "ingestion", row=row, prepare=prepare, references=INGESTION.clues)


def test_inference() -> None:
    """With one model: where epochs change, who answers a row depends on the worker's time too."""

    def row(chance: Random, role: str) -> tuple[bytes | None, bytes]:
        made = vector(0, chance.randrange(10**6))
        return made.key(), b"junk" if chance.random() < 0.1 else made.value() or b""

    def load(job: Job[Any], _stop: Stop) -> object:
        return Loaded(FakeScorer(job.manifest, sound(job.version)), 1, 1) if isinstance(job, LoadModel) else None

    def prepare(pipeline: MemoryPipeline) -> None:
        told = {"pipelines": specification(), "models": model("v1"), "rollouts": rollout(1, "v1")}
        for role, message in told.items():
            pipeline.tell(role, f"{PIPELINE}/1", message.model_copy(update={"pipeline": PIPELINE}))

    topic_id = MemoryPipeline("inference").bus.topic_id("features")
    check_logic(
        lambda: InferenceLogic(PIPELINE, "w", topic_id=topic_id),
        "inference",
        row=row,
        prepare=prepare,
        references=INFERENCE.clues,
        jobs=load,
    )
