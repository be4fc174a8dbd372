"""What river learned is what is published: the same probabilities, from the graph."""

import numpy as np
import pytest

from freshet.contracts.arrays import Floats32
from freshet.models.packing import pack
from freshet.models.scorer import Scorer
from freshet.pipeline import PipelineSpec
from freshet.training.data import TrainingData
from freshet.training.trainers.river_logistic_regression import RiverLogisticRegression
from support.labelled import learnable, spec_text


def given(classes: tuple[str, ...]) -> TrainingData:
    """Rows with missing values and one feature that is always the same."""
    rows = learnable(600)
    values = rows.values.copy()
    values[:, 2] = 5.0
    label = rows.label.copy()
    label[(values[:, 0] > 1) & (len(classes) > 2)] = 2
    return TrainingData(("amount", "age", "hour"), classes, values, label, rows.truth)


def published(data: TrainingData, rows: Floats32) -> Floats32:
    """What the graph answers."""
    spec = PipelineSpec.parse(spec_text("{classes: [" + ", ".join(data.classes) + "]}"))
    model = RiverLogisticRegression().fit(data, seed=0)
    bundle = pack(model, data.values, spec, inputs=data.names, truths=data.targets.tolist()).bundle
    return Scorer.load(bundle.data, bundle.manifest).score(rows)


@pytest.mark.parametrize("classes", [("legit", "fraud"), ("legit", "fraud", "odd")])
def test_the_graph_answers_as_river_does(classes: tuple[str, ...]) -> None:
    """Also where values are missing, and where a feature that never changed has another value."""
    data = given(classes)
    rows = data.values[:50].copy()
    rows[10:20, 2] = 7.0
    rows[20] = np.nan
    scaler, model = RiverLogisticRegression().learned(data)
    wanted = np.empty((len(rows), len(classes)))
    for at, row in enumerate(rows.astype(np.float64).tolist()):
        known = scaler.transform_one({place: value for place, value in enumerate(row) if not np.isnan(value)})
        told = model.predict_proba_one(known if len(classes) == 2 else known | {"always": 1.0})
        wanted[at] = [told[False], told[True]] if len(classes) == 2 else [told[name] for name in classes]
    assert np.ptp(wanted[:, 0]) > 0.5
    np.testing.assert_allclose(published(data, rows), wanted, atol=1e-6)


def test_it_learns_in_the_order_of_the_log() -> None:
    """The newest rows count most: the other way round it is another model."""
    data = given(("legit", "fraud"))
    back = TrainingData(data.names, data.classes, data.values[::-1], data.label[::-1], data.truth[::-1])
    assert not np.allclose(published(data, data.values[:50]), published(back, data.values[:50]), atol=1e-4)
