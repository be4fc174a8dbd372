"""What every trainer must be, whoever wrote it: one suite over all that the catalogue finds."""

import json
from typing import Any, get_args

import numpy as np
import pytest

from freshet.models.packing import pack
from freshet.models.scorer import Scorer
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import trainers
from freshet.training.data import TrainingData
from freshet.training.trainer import Target, Trainer
from support.labelled import learnable, spec_text

ROWS = 400
FOUR = "{classes: [legit, fraud, never, odd]}"

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "hist-gradient-boosting": [{"iterations": 10}, {"iterations": 5, "leaves": 4, "balance": True}],
    "logistic-regression": [{}, {"strength": 0.1, "balance": True}],
    "lightgbm": [{"iterations": 10}, {"iterations": 5, "leaves": 4, "balance": True}],
    "river-logistic-regression": [{}, {"learning_rate": 0.05, "l2": 0.001}],
    "command": [{"program": "mine", "arguments": ["-q"]}],
}
"""Parameters to try for each kind. A new trainer adds a line here."""

CASES = [(kind, params) for kind in sorted(EXAMPLES) for params in EXAMPLES[kind]]
FITTED = [
    (kind, params, target)
    for kind, params in CASES
    for target in get_args(Target)
    if target in trainers().find(kind).learns and not trainers().find(kind).programs
]


def trainer(kind: str, params: dict[str, Any]) -> Trainer:
    """As pipeline.yaml names it."""
    return trainers().find(kind).model_validate_json(json.dumps(params))


def data(target: str) -> TrainingData:
    """Rows with missing values; of four classes one never occurs, and they do not come in the order of their names."""
    rows = learnable(ROWS, value=target == "value")
    label = rows.label.copy()
    if target == "classes":
        label[rows.values[:, 2] > 1] = 3
    classes = ("legit", "fraud", "never", "odd") if target == "classes" else ()
    return TrainingData(("amount", "age", "hour"), classes, rows.values, label, rows.truth)


def test_every_trainer_has_an_example() -> None:
    """Else nothing here would be asked of it."""
    assert trainers().kinds() == sorted(EXAMPLES)


@pytest.mark.parametrize(("kind", "params"), CASES)
def test_parameters_survive_their_record(kind: str, params: dict[str, Any]) -> None:
    """A training that was cut off is done again with the trainer that its record names."""
    made = trainer(kind, params)
    assert type(made).of(made.parameters) == made
    assert "kind" not in made.parameters
    assert made.model_dump()["kind"] == kind
    with pytest.raises(ValueError, match="strange"):
        type(made).of({**made.parameters, "strange": "1"})


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_every_parameter_says_what_it_is_for(kind: str) -> None:
    """pipeline.yaml's errors and documents show it."""
    part = trainers().find(kind)
    assert part.__doc__
    assert all(field.description for field in part.model_fields.values())
    assert set(part.quick) <= set(part.model_fields)


@pytest.mark.parametrize(("kind", "params", "target"), FITTED)
def test_the_same_rows_and_seed_give_the_same_graph(kind: str, params: dict[str, Any], target: str) -> None:
    """It can be packed, answers rows without values, and does not change what it is given."""
    given = data(target)
    before = given.values.copy()
    digests = {_digest(trainer(kind, params).fit(given, seed=5), given) for _ in range(2)}
    assert len(digests) == 1
    assert np.array_equal(given.values, before, equal_nan=True)


def _digest(model: object, given: TrainingData) -> str:
    spec = PipelineSpec.parse(spec_text(FOUR if given.classes else "{kind: value}"))
    truths = given.targets.tolist() if given.classes else None
    packed = pack(model, given.values, spec, inputs=given.names, truths=truths)
    assert not packed.bundle.manifest.required
    return packed.bundle.manifest.digest


@pytest.mark.parametrize("kind", [kind for kind in sorted(EXAMPLES) if "balance" in trainers().find(kind).model_fields])
@pytest.mark.parametrize("shares", [(0.9, 0.1, 0.0, 0.0), (0.8, 0.15, 0.0, 0.05)])
def test_weights_of_classes_do_not_change_what_is_probable(kind: str, shares: tuple[float, ...]) -> None:
    """Nothing tells the classes apart here: each is as probable as it is frequent, however it was learned."""
    values = learnable(2000).values
    label = np.random.default_rng(3).choice(4, 2000, p=shares)
    given = TrainingData(
        ("amount", "age", "hour"), ("legit", "fraud", "never", "odd"), values, label, np.full(2000, np.nan)
    )
    few: dict[str, Any] = {"iterations": 10} if kind != "logistic-regression" else {}
    model: Any = trainer(kind, {"balance": True, **few}).fit(given, seed=5)
    said = dict(zip(model.classes_.tolist(), model.predict_proba(values).mean(axis=0).tolist(), strict=True))
    assert "never" not in said
    for name, count in zip(given.classes, given.counts.tolist(), strict=True):
        assert said.get(name, 0.0) == pytest.approx(count / 2000, abs=0.03)


@pytest.mark.parametrize("kind", [kind for kind in sorted(EXAMPLES) if "balance" in trainers().find(kind).model_fields])
def test_published_probabilities_are_right_although_classes_were_balanced(kind: str) -> None:
    """Asked of the graph, on rows that were not learned from: among those of about one probability as many come true.

    Without the correction a class of 8 % would be called probable in half of the rows.
    """
    draw = np.random.default_rng(11)
    values = draw.normal(size=(8000, 3)).astype(np.float32)
    truth = 1 / (1 + np.exp(3.4 - 1.5 * values[:, 0].astype(np.float64)))
    label = (draw.random(8000) < truth).astype(np.int64)
    given = TrainingData(("amount", "age", "hour"), ("legit", "fraud"), values[:4000], label[:4000], truth[:4000])
    few: dict[str, Any] = {"leaves": 4} if kind != "logistic-regression" else {}
    model = trainer(kind, {"balance": True, **few}).fit(given, seed=5)
    bundle = pack(model, given.values, PipelineSpec.parse(spec_text()), inputs=given.names).bundle
    said = Scorer.load(bundle.data, bundle.manifest).score(values[4000:])[:, 1]
    assert float(said.mean()) == pytest.approx(float(truth[4000:].mean()), abs=0.02)
    for low, high in ((0.0, 0.05), (0.05, 0.2), (0.2, 1.0)):
        inside = (said >= low) & (said < high)
        assert float(said[inside].mean()) == pytest.approx(float(truth[4000:][inside].mean()), abs=0.08)
