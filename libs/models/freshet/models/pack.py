"""A trained model → a bundle that the platform can serve: an ONNX file, a manifest, and proof that it answers alike."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Floats, Floats32, Ints
from freshet.contracts.pipeline import PipelineSpec
from freshet.models.bundle import Bundle
from freshet.models.contract import TOLERANCE, Contract, Limits
from freshet.models.errors import ModelError
from freshet.models.export import Export, converted, ready
from freshet.models.graph import check_graph
from freshet.models.manifest import check_manifest, make_manifest
from freshet.models.parity import Parity, compare, compare_scores, row_gaps
from freshet.models.scorer import Scorer

GOLDEN_ROWS: Final = 64
_GOLDEN_BYTES: Final = 128 * 1024  # of features: wide rows make fewer golden ones


class Packed(NamedTuple):
    """A bundle, and how it compares with the original; no parity where there was nothing to compare with."""

    bundle: Bundle
    parity: Parity | None


def pack(
    model: object,
    rows: Floats32,
    spec: PipelineSpec,
    *,
    inputs: Sequence[str] | None = None,
    labels: Mapping[Any, str] | None = None,
    expected: Floats32 | None = None,
    output_name: str | None = None,
    trainer: str = "",
    lineage: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    max_gap: float = TOLERANCE,
) -> Packed:
    """Pack a fitted scikit-learn estimator or Pipeline, a LightGBM model, or the bytes of a ready ONNX file.

    `rows` is a sample as the model will see it, float32 (n, inputs): some of it become the golden rows, all of it is
    compared. `inputs` names its columns; by default those the estimator was fitted with, or all features. `labels` maps
    the estimator's labels to classes, see `class_columns`. For ONNX bytes, `expected` are the scores that its trainer
    saw for `rows`, and `output_name` the score output if there are several. `lineage` and `metrics` go into the
    manifest: say at least `training_set`, the digest of the data it was trained on.

    The same model and sample give the same bundle. Raises ModelError with a `pack_*`, `graph_*` or `manifest_invalid`
    reason; `pack_parity` where graph and original lie further apart than `max_gap`.
    """
    names = _input_names(model, inputs, spec)
    rows = np.ascontiguousarray(rows, np.float32)
    if rows.ndim != 2 or not len(rows) or rows.shape[1] != len(names):
        raise ModelError(
            "pack_input",
            f"the sample has shape {rows.shape}, the model {len(names)} inputs ({', '.join(names)}): pass one column "
            "for each, or say with inputs=[…] which features the columns are.",
        )
    classes = spec.target.classes
    export = ready(model, output_name) if isinstance(model, bytes) else converted(model, len(names), classes, labels)
    about = {
        "pipeline": spec.pipeline,
        "inputs": names,
        "classes": classes,
        "input_name": export.input_name,
        "output_name": export.output_name,
        "opset": export.opset,
        "trainer": trainer or export.trainer,
        "lineage": {"sample": hashlib.sha256(rows.tobytes()).hexdigest(), **export.lineage, **(lineage or {})},
        "metrics": metrics,
    }
    contract = Contract(spec.feature_names, classes, Limits.of(spec.limits))
    packed = _proven(export, rows, expected, about, contract.limits)
    if packed.parity and packed.parity.max_gap > max_gap:
        raise ModelError("pack_parity", _disagreement(packed.parity, max_gap))
    problems = check_manifest(packed.bundle.manifest, contract)
    if problems:
        raise ModelError("manifest_invalid", " ".join(problems))
    return packed


def _input_names(model: object, inputs: Sequence[str] | None, spec: PipelineSpec) -> tuple[str, ...]:
    if inputs is not None:
        return tuple(inputs)
    fitted = tuple(map(str, getattr(model, "feature_names_in_", ())))
    if not fitted or all(name.startswith("Column_") for name in fitted):  # LightGBM's names for columns without any
        return spec.feature_names
    unknown = [name for name in fitted if name not in spec.feature_names]
    if unknown:
        raise ModelError(
            "pack_input",
            f"it was fitted with columns that are no features of the pipeline: {', '.join(unknown)}. Say with "
            "inputs=[…] which features they are.",
        )
    return fitted


def _proven(export: Export, rows: Floats32, expected: Floats32 | None, about: dict[str, Any], limits: Limits) -> Packed:
    """Load what was exported, compare it with the original, and write down golden rows as the original answers them."""
    outputs = len(about["classes"]) or 1
    draft = make_manifest(
        export.data, golden_features=rows[:1], golden_scores=np.zeros((1, outputs), np.float32), **about
    )
    check_graph(export.data, draft, limits)
    with closing(Scorer.load(export.data, draft)) as scorer:
        answered = trainers = scorer.score(rows)
        parity = None
        if export.original is not None:
            parity, trainers = compare(export.original, scorer.score, rows), export.original(rows)
        elif expected is not None:
            trainers = np.asarray(expected, np.float32).reshape(answered.shape)
            parity = compare_scores(trainers, answered)
    places = _golden_places(row_gaps(trainers, answered), rows.shape[1])
    manifest = make_manifest(export.data, golden_features=rows[places], golden_scores=trainers[places], **about)
    return Packed(Bundle(manifest, export.data), parity)


def _golden_places(gaps: Floats, width: int) -> Ints:
    """Evenly spread rows of those that agree: a golden row that does not would have every admission refused."""
    agreeing = np.flatnonzero(gaps <= TOLERANCE)
    if not agreeing.size:
        raise ModelError("pack_parity", f"no row of the sample is answered within {TOLERANCE:g} of the original.")
    wanted = max(1, min(GOLDEN_ROWS, agreeing.size, _GOLDEN_BYTES // (4 * width)))
    return agreeing[np.linspace(0, agreeing.size - 1, wanted).astype(np.int64)]


_ADVICE: Final = {
    "sample": "Train it on float32 features, as they are served, and put no scaler before trees: it moves rows that "
    "lie on a threshold.",
    "edges": "Its arithmetic leaves float32 at the edges: scale or clip the features in a Pipeline step.",
    "missing": "Its ONNX form may treat missing values otherwise: fill them in a Pipeline step, as SimpleImputer does.",
}


def _disagreement(parity: Parity, max_gap: float) -> str:
    gaps = ", ".join(f"{name} {gap:.2g}" for name, gap in parity.gaps.items())
    advice = " ".join(_ADVICE[name] for name, gap in parity.gaps.items() if gap > max_gap)
    return (
        f"the ONNX graph and the original lie {parity.max_gap:.2g} apart, more than {max_gap:g} ({gaps}; "
        f"{parity.agreement:.2%} of labels agree). {advice} Or accept the gap with max_gap."
    )
