"""Events without a value that the model requires: set aside with a reason, while all others are answered."""

import numpy as np

from freshet.contracts.logic import DeadLetter
from freshet.contracts.messages import ModelVersion
from freshet.models.input_columns import holes_of
from support.inference import FEATURES, Worker, answers, dead, manifest, model, rollout, specification, vector

NAN = float("nan")


def _needing(version: str, *required: str) -> ModelVersion:
    admitted = model(version)
    return admitted.model_copy(update={"manifest": admitted.manifest.model_copy(update={"required": required})})


def _worker(*required: str) -> Worker:
    worker = Worker()
    worker.learn(specification(), _needing("v1", *required))
    worker.learn(rollout(1, "v1"))
    worker.settle()
    worker.assign(p0="e=0 f=0")
    return worker


def test_a_row_without_a_required_value_is_set_aside_and_named() -> None:
    """The original refuses it, so nobody may answer it; its neighbours are answered, and the version stays."""
    worker = _worker(FEATURES[1])
    rows = [vector(0, at, [1, NAN if at % 2 else 2, 3]) for at in range(200)]
    effects = worker.answer(*rows)
    assert dead(effects) == {"model_missing_value": list(range(1, 200, 2))}
    assert [answer.offset for answer in answers(effects)] == list(range(0, 200, 2))
    (letter,) = (effect for effect in effects if isinstance(effect, DeadLetter))
    assert letter.details[0] == f"feature {FEATURES[1]!r} has no value, and v1 has no answer without one."
    assert letter.model_version == "v1"
    assert [answer.offset for answer in answers(worker.answer(vector(0, 200)))] == [200]


def test_a_batch_of_nothing_else_is_set_aside_whole() -> None:
    """No model is asked."""
    worker = _worker(*FEATURES)
    effects = worker.answer(vector(0, 0, [NAN, NAN, NAN]), vector(0, 1, [1, 2, NAN]))
    assert dead(effects) == {"model_missing_value": [0, 1]}
    assert worker.scorers["v1"].asked == []


def test_a_model_that_takes_missing_values_is_asked() -> None:
    """By default nothing is required."""
    worker = _worker()
    effects = worker.answer(vector(0, 0, [NAN, 2, 3]))
    assert "model_missing_value" not in dead(effects)
    assert len(worker.scorers["v1"].asked) == 1


def test_only_required_inputs_are_looked_at() -> None:
    """By name, in the model's order; the first hole of a row is named."""
    wanted = manifest("v1", inputs=("c", "a", "b")).model_copy(update={"required": ("b", "a")})
    matrix = np.array([[NAN, 1, 2], [1, NAN, NAN], [1, 2, NAN], [1, 2, 3]], np.float32)
    holes = holes_of(matrix, wanted)
    assert holes.rows.tolist() == [1, 2]
    assert holes.names == ("a", "b")
