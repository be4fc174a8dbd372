"""The rows that parity is judged on: they come to the splits that they are made for."""

import numpy as np
import pytest
from onnx import helper
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier

from freshet.contracts.arrays import Floats32
from freshet.models.convert import to_onnx
from freshet.models.graph import read_model
from freshet.models.hard_rows import boundary_rows, category_rows, split_rows
from freshet.models.model_error import ModelError
from freshet.models.original import Original
from freshet.models.packing import pack
from support.fitted import NAMES, pipeline, scores_of, table, wanted
from support.models import graph

ROWS = table(600).astype(np.float32)
TRUTH = np.where(wanted(table(600)), "yes", "no")
SPEC = pipeline("{classes: ['no', 'yes']}")


@pytest.mark.parametrize("side", [-1, 1])
def test_a_single_threshold_that_is_off_by_one_bit_is_seen(side: int) -> None:
    """Move one split of a forest to the next float32, also deep in a tree: one of the rows tells."""
    original = Original.of(RandomForestClassifier(3, random_state=0).fit(ROWS, TRUTH))
    data = to_onnx(original, len(NAMES), [0, 1]).data
    model = read_model(data)
    node = next(node for node in model.graph.node if node.op_type.startswith("TreeEnsemble"))
    values = next(at for at in node.attribute if at.name == "nodes_values").floats
    asked = split_rows(model, ROWS)
    assert asked.all_seen
    truth = original.scores(asked.rows)
    modes = next(at for at in node.attribute if at.name == "nodes_modes").strings
    splits = [at for at, mode in enumerate(modes) if mode != b"LEAF"]
    seen = 0
    for at in splits[:: max(1, len(splits) // 25)]:
        kept = values[at]
        values[at] = float(np.nextafter(np.float32(kept), np.float32(side * np.inf)))
        seen += int((np.abs(_answers(model.SerializeToString(), asked.rows) - truth) > 1e-3).any())
        values[at] = kept
    assert seen >= 0.8 * len(splits[:: max(1, len(splits) // 25)])


def _answers(data: bytes, rows: Floats32) -> Floats32:
    from freshet.models.session import open_session  # noqa: PLC0415

    found: Floats32 = open_session(data).run(None, {"features": rows})[0]
    return found


def test_jumps_are_found_by_halving() -> None:
    """The neighbours on both sides of a step that nothing but the answers shows."""
    step = np.float32(99_000.515625)

    def score(rows: Floats32) -> Floats32:
        return (rows[:, :1] > step).astype(np.float32)

    found = boundary_rows(score, ROWS)
    assert {float(step), float(np.nextafter(step, np.float32(np.inf)))} <= set(found[:, 0].tolist())


def test_categories_come_with_strangers_and_fractions() -> None:
    """Of columns that hold few whole numbers only."""
    found = category_rows(ROWS)
    assert {*range(12), -1.0, 12.0, 1e6} <= set(found[:, 2].tolist())
    assert np.float32(11.7) in found[:, 2]


def test_what_the_original_refuses_is_required() -> None:
    """GradientBoosting raises on NaN: the manifest names every input, and rows with holes are left out and counted."""
    model = GradientBoostingClassifier(n_estimators=5).fit(ROWS, TRUTH)
    holed = ROWS.copy()
    holed[:40, 1] = np.nan
    packed = pack(model, holed, SPEC)
    assert packed.bundle.manifest.required == NAMES
    assert "40 of 600 sample rows lack a value that it needs: they are left out" in packed.notes
    assert any("has no value: such events become dead letters" in note for note in packed.notes)
    with pytest.raises(ModelError, match="every row of the sample lacks a value"):
        pack(model, holed[:40], SPEC)


def test_what_the_original_takes_is_answered_alike() -> None:
    """Nothing is required, and missing values are compared."""
    holed = table(600, holes=True)
    packed = pack(HistGradientBoostingClassifier(max_iter=5).fit(holed, TRUTH), holed.astype(np.float32), SPEC)
    assert packed.bundle.manifest.required == ()
    assert packed.parity is not None
    assert packed.parity.gaps["missing"] < 1e-6


def test_a_ready_graph_that_makes_nothing_of_a_missing_value_requires_it() -> None:
    """Its scores would not be finite, which would be held against the version."""
    nodes = [
        helper.make_node("MatMul", ["rows", "weights"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["scores"], axis=1),
    ]
    weights = np.array([[1, -1], [0.5, 0], [0, 0], [0, 1]], np.float32)
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    packed = pack(graph(nodes, {"weights": weights}).SerializeToString(), rows, SPEC, labels="yes")
    assert packed.bundle.manifest.required == NAMES


@pytest.mark.parametrize("mode", ["BRANCH_LT", "BRANCH_LEQ"])
def test_other_ways_to_split_are_served_as_they_are(mode: str) -> None:
    """XGBoost's graphs ask `<`: a ready graph is not touched, and answers at its thresholds as it says."""
    step = 2.5
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["rows"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        classlabels_strings=["no", "yes"],
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[1, 0, 0],
        nodes_modes=[mode, "LEAF", "LEAF"],
        nodes_values=[step, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        class_treeids=[0, 0, 0, 0],
        class_nodeids=[1, 1, 2, 2],
        class_ids=[0, 1, 0, 1],
        class_weights=[0.9, 0.1, 0.2, 0.8],
        post_transform="NONE",
    )
    answers = [
        helper.make_tensor_value_info("label", 8, [None]),
        helper.make_tensor_value_info("scores", 1, [None, 2]),
    ]
    model = graph([node], answers=answers)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    rows = np.zeros((3, 4), np.float32)
    rows[:, 1] = [np.nextafter(np.float32(step), np.float32(0)), step, np.nextafter(np.float32(step), np.float32(9))]
    packed = pack(model.SerializeToString(), rows, pipeline("{classes: ['yes', 'no']}"))
    high = 0.2 if mode == "BRANCH_LT" else 0.9
    np.testing.assert_allclose(scores_of(packed, rows)[:, 1], [0.9, high, 0.2], atol=1e-6)
