"""Which score is which class is shown, never assumed."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, load_from_string
from skl2onnx import to_onnx
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from freshet.contracts.arrays import Floats32
from freshet.models.classes import class_order
from freshet.models.export import Asked, in_pipeline_order, ready
from freshet.models.model_error import ModelError
from freshet.models.original import last_step
from freshet.models.packing import pack
from support.fitted import pipeline, scores_of, table, wanted
from support.models import ROWS, softmax, softmax_scores

ROWS4 = table(600).astype(np.float32)
TRUTH = wanted(table(600))
FRAUD = np.where(TRUTH, "fraud", "legit").tolist()


def _forest(truth: Any) -> Any:
    return RandomForestClassifier(5, random_state=0).fit(ROWS4, truth)


@pytest.mark.parametrize(
    ("truth", "classes", "true_is"),
    [
        (np.where(TRUTH, "yes", "no"), "['yes', 'no']", 0),
        (np.where(TRUTH, "yes", "no"), "['no', 'yes']", 1),
        (TRUTH.astype(int), "['1', '0']", 0),
        (TRUTH.astype(int), "['0', '1']", 1),
        (TRUTH.astype(float), "['1', '0']", 0),
        (TRUTH, "['true', 'false']", 0),
        (TRUTH, "['False', 'True']", 1),
        (np.where(TRUTH, -1, 1), "['1', '-1']", 1),
    ],
)
def test_labels_stand_for_the_class_of_their_text(truth: Any, classes: str, true_is: int) -> None:
    """Texts, whole numbers, floats and booleans, whatever the order of the pipeline's classes."""
    model = _forest(truth)
    scores = scores_of(pack(model, ROWS4, pipeline(f"{{classes: {classes}}}")), ROWS4)
    assert ((scores.argmax(axis=1) == true_is) == (model.predict(ROWS4) == truth[TRUTH][0])).all()


SPEC = pipeline("{classes: [fraud, legit]}")
"""In the order of the alphabet, as `pipeline new` writes them: 1 would be `legit` by its place."""


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "fraud"},
        {"labels": {"1": "fraud"}},
        {"labels": {1: "fraud", 0: "legit"}},
        {"truths": FRAUD},
        {"truths": [*FRAUD[:300], *[""] * 300]},
    ],
)
@pytest.mark.parametrize("truth", [TRUTH.astype(int), TRUTH.astype(float), TRUTH])
def test_what_numbers_stand_for_is_told_or_shown(truth: Any, options: dict[str, Any]) -> None:
    """By --label, for both or for the second, or by the sample's column of labels."""
    packed = pack(_forest(truth), ROWS4, SPEC, **options)
    chosen = np.array(SPEC.target.classes)[scores_of(packed, ROWS4).argmax(axis=1)]
    assert (chosen == FRAUD).mean() > 0.9
    assert any(note.startswith("classes: ") and "is fraud" in note for note in packed.notes)


def test_numbers_that_nobody_explains_are_refused() -> None:
    """Also where the sample's labels show nothing: too few, or no relation to the scores."""
    model = _forest(TRUTH.astype(int))
    noise = np.random.default_rng(0).permutation(FRAUD).tolist()
    for truths in (None, [*FRAUD[:12], *[""] * 588], noise):
        with pytest.raises(ModelError, match="nothing says which of the classes fraud, legit"):
            pack(model, ROWS4, SPEC, truths=truths)


@pytest.mark.parametrize(
    ("truth", "labels"),
    [
        (TRUTH.astype(int), "legit"),
        (TRUTH.astype(int), {1: "legit", 0: "fraud"}),
        (np.where(TRUTH, "legit", "fraud"), None),
    ],
)
def test_labelled_rows_that_show_the_contrary_refuse(truth: Any, labels: Any) -> None:
    """Swapped by --label, or by whoever trained it."""
    with pytest.raises(ModelError, match="its classes look swapped"):
        pack(_forest(truth), ROWS4, SPEC, labels=labels, truths=FRAUD)


def test_three_numbers_are_shown_by_rows() -> None:
    """One class that the rows cannot show follows from the others."""
    level = np.digitize(ROWS4[:, 1], [35, 45])
    names = np.array(["young", "middle", "old"])[level]
    spec = pipeline("{classes: [middle, old, young]}")
    packed = pack(_forest(level), ROWS4, spec, truths=np.where(names == "old", "", names).tolist())
    assert (np.array(spec.target.classes)[scores_of(packed, ROWS4).argmax(axis=1)] == names).mean() > 0.95


@pytest.mark.parametrize("labels", [["a", "b"], ["fraud", "Legit"], [None, "fraud"]])
def test_texts_that_are_no_classes_are_refused(labels: list[Any]) -> None:
    """A label with another text is another class, also if labelled rows would fit."""
    with pytest.raises(ModelError, match="the pipeline's classes fraud, legit: say which class"):
        class_order(labels, ("fraud", "legit"), None, np.eye(2)[np.array(TRUTH, int)], FRAUD)


@pytest.mark.parametrize("model", [LinearSVC(), RidgeClassifier(), SGDClassifier(loss="hinge")])
def test_a_margin_is_never_a_probability(model: Any) -> None:
    """Classifiers without probabilities are refused by name."""
    with pytest.raises(ModelError, match=rf"{type(model).__name__} gives no probabilities, and a margin is none"):
        pack(model.fit(ROWS4, FRAUD), ROWS4, SPEC)


def test_a_threshold_of_its_own_is_refused() -> None:
    """Freshet's label is the class with the highest score."""
    old = ROWS4[:, 1] + np.random.default_rng(0).normal(0, 10, len(ROWS4)) > 50
    model = TunedThresholdClassifierCV(LogisticRegression(max_iter=500), scoring="recall").fit(ROWS4, old)
    with pytest.raises(ModelError, match=r"its predict\(\) names another class"):
        pack(model, ROWS4, pipeline("{classes: ['0', '1']}"))


def _onnx(model: Any) -> bytes:
    options = {id(last_step(model)): {"zipmap": False}}
    graph = to_onnx(model, ROWS4[:1], options=options, target_opset={"": 17, "ai.onnx.ml": 3})
    data: bytes = graph.SerializeToString()
    return data


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(max_iter=500), make_pipeline(StandardScaler(), MLPClassifier(max_iter=20))]
)
def test_a_ready_graphs_own_labels_decide(estimator: Any) -> None:
    """Written in its classifier's node, or shown by the label that it answers beside the scores."""
    model = estimator.fit(ROWS4, np.where(TRUTH, "yes", "no"))
    for classes in ("['yes', 'no']", "['no', 'yes']"):
        spec = pipeline(f"{{classes: {classes}}}")
        scores = scores_of(pack(_onnx(model), ROWS4, spec), ROWS4)
        truth = model.predict_proba(ROWS4)[:, [list(model.classes_).index(name) for name in spec.target.classes]]
        np.testing.assert_allclose(scores, truth, atol=1e-5)
    with pytest.raises(ModelError, match="labels are no, yes, the pipeline's classes legit, fraud"):
        pack(_onnx(model), ROWS4, pipeline("{classes: [legit, fraud]}"))


def test_numbers_in_a_ready_graph_need_a_word() -> None:
    """As for an estimator: 0 and 1 name no class."""
    old = ROWS4[:, 1] > 40
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS4, old.astype(int))
    with pytest.raises(ModelError, match="nothing says which"):
        pack(_onnx(model), ROWS4, SPEC)
    scores = scores_of(pack(_onnx(model), ROWS4, SPEC, labels="fraud"), ROWS4)
    np.testing.assert_allclose(scores, model.predict_proba(ROWS4)[:, ::-1], atol=1e-5)
    truths = np.where(old, "fraud", "legit").tolist()
    again = scores_of(pack(_onnx(model), ROWS4, SPEC, truths=truths), ROWS4)
    np.testing.assert_array_equal(again, scores)


def _ordered(classes: tuple[str, ...], **known: Any) -> Any:
    return in_pipeline_order(ready(softmax(), None), ROWS, Asked(classes, **known))


def test_a_graph_without_labels_needs_a_word_or_scores() -> None:
    """--label by the number of a column, or the trainer's scores under the names of the classes."""
    with pytest.raises(ModelError, match=r"labels are column 0, column 1, .* --label 1=CLASS"):
        _ordered(("a", "b"))
    assert _ordered(("a", "b"), labels={0: "b", 1: "a"}).notes == (
        "classes: as --label says: column 0 is b, column 1 is a",
    )
    swapped: Floats32 = softmax_scores(ROWS)[:, ::-1]
    assert "column 1 is a, column 0 is b" in _ordered(("a", "b"), expected=swapped).notes[0]
    with pytest.raises(ModelError, match="do not tell its columns apart"):
        _ordered(("a", "b"), expected=np.full_like(swapped, 0.5))


def test_one_column_for_two_classes_is_refused_with_what_to_export() -> None:
    """A sigmoid alone, as PyTorch's models end."""
    nodes = [
        helper.make_node("ReduceSum", ["rows"], ["sum"], keepdims=1, noop_with_empty_axes=0),
        helper.make_node("Sigmoid", ["sum"], ["scores"]),
    ]
    model = load_from_string(softmax())
    del model.graph.node[:]
    model.graph.initializer.add(name="axes", data_type=TensorProto.INT64, dims=[1], int64_data=[1])
    nodes[0].input.append("axes")
    model.graph.node.extend(nodes)
    with pytest.raises(ModelError, match=r"export a score for each class \(for a sigmoid p: 1 - p and p\)"):
        pack(model.SerializeToString(), ROWS, pipeline("{classes: [a, b]}"), labels="b")


@pytest.mark.parametrize(
    ("opset", "classical", "ir_version", "why"),
    [(26, 5, 13, ""), (27, 5, 8, "known are 7 to 26"), (26, 6, 8, "known are 1 to 5"), (17, 3, 14, "not 3 to 13")],
)
def test_a_graph_newer_than_the_runtime_is_told_the_limits(
    opset: int, classical: int, ir_version: int, why: str
) -> None:
    """The limits of onnxruntime, which a worker has, not of the package onnx."""
    model = load_from_string(softmax())
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", classical)])
    model.ir_version = ir_version
    spec = pipeline("{classes: [a, b]}")
    if not why:
        assert len(pack(model.SerializeToString(), ROWS, spec, labels="b").bundle.data)
        return
    with pytest.raises(ModelError, match=f"graph_opset: .*{why}"):
        pack(model.SerializeToString(), ROWS, spec, labels="b")


def test_what_is_no_model_is_named() -> None:
    """A dict around the estimator, an estimator that was never fitted, clusters."""
    spec = pipeline("{classes: [a, b]}")
    for thing, why in (
        ({"model": 1, "threshold": 0.3}, "a dict with the keys model, threshold: save the estimator alone"),
        (LogisticRegression(), "LogisticRegression is not fitted"),
        (KMeans(2, n_init=1).fit(ROWS4), "KMeans is no classifier, regressor or detector"),
    ):
        with pytest.raises(ModelError, match=why):
            pack(thing, ROWS4, spec)
