"""The closed loop where signatures are demanded: retraining signs, the registry admits and signs, a worker believes."""

import pytest

from freshet.avro.control import decode
from freshet.contracts.messages import Candidate, PipelineRecord
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.core.model_jobs import LoadModel
from freshet.registry.core.decider import RegistryDecider
from freshet.retraining.training_run import train
from freshet.runtime.reading import everything
from freshet.trust.signing_key import SigningKey
from support.inference import TOPIC_ID
from support.labelled import NEVER, Log, learnable, records_of, spec_text
from support.registry import World
from support.signed import KeyRing, demanding


def trained(signer: SigningKey | None) -> Candidate:
    """What a training publishes, as it stands on the topic."""
    log = Log(*records_of(learnable(1500, late_rows=20)))
    train(log.job(1200, trainer="logistic-regression"), log.bus, NEVER, signer=signer)
    (value,) = [value for batch in everything(log.bus, "candidates") for value in batch.values]
    found = decode("candidates", value or b"")
    assert isinstance(found, Candidate)
    return found


@pytest.mark.parametrize("with_key", [True, False], ids=["with its key", "without"])
def test_a_retrained_model_comes_to_answer_if_it_is_signed(with_key: bool) -> None:
    """Nobody has to do anything in between; without a key, retraining's models are refused."""
    ring, world = KeyRing(), World()
    world.decider = RegistryDecider(ring.keys, ring.release)
    spec = spec_text() + "rollout: {policy: immediate}\n"
    record = PipelineRecord(pipeline="p", number=1, spec=spec, event_schema="{}", event_schema_id=1)
    world.tell("pipelines", "p/1", demanding(record))
    asked = trained(ring.builder if with_key else None)
    world.tell("candidates", f"p/{asked.manifest.digest}", asked)
    world.settle()
    assert world.serving() == ("1.0.0" if with_key else "")
    worker = InferenceLogic("p", "w", topic_id=TOPIC_ID, keys=ring.keys)
    for fact in world.log:
        if fact.role in InferenceLogic.follows:
            worker.fold(fact)
    loads = [effect.job for effect in worker.on_tick(50) if hasattr(effect, "job")]
    assert [job.version for job in loads if isinstance(job, LoadModel)] == (["1.0.0"] if with_key else [])
