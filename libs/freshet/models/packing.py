"""A trained model → a bundle that the platform can serve: an ONNX file, a manifest, and proof that it answers alike."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Floats, Floats32, Ints
from freshet.features.transform import Domain
from freshet.models.bundle import Bundle
from freshet.models.classes import Labels
from freshet.models.contract import TOLERANCE, Contract, Limits
from freshet.models.export import Asked, Export, converted, in_pipeline_order, quietly, ready
from freshet.models.gaps import row_gaps
from freshet.models.graph import check_graph, read_model, score_inputs
from freshet.models.hard_rows import Score
from freshet.models.manifest import check_manifest, make_manifest, refuses
from freshet.models.model_error import ModelError
from freshet.models.names import Inputs, inputs_of
from freshet.models.original import Original
from freshet.models.parity import GROUPS, Parity, compare, compare_scores, required_inputs
from freshet.models.scorer import Scorer
from freshet.pipeline import PipelineSpec

GOLDEN_ROWS: Final = 64
_GOLDEN_BYTES: Final = 128 * 1024  # of features: wide rows make fewer golden ones
_NO_PROBABILITY: Final = 1e-3  # further outside 0…1, or from a sum of 1, rounding does not carry it
_SMALL_GAP: Final = 0.01
_RARE: Final = frozenset({"splits", "jumps", "edges"})  # hardly an event comes as near to a split, or as far out
_OTHER_CLASS: Final = 0.01
_TIE: Final = 1e-6


class Packed(NamedTuple):
    """A bundle, how it compares with the original (None where there was nothing to compare with), and what to know."""

    bundle: Bundle
    parity: Parity | None
    notes: tuple[str, ...] = ()
    """Sentences: how columns and classes are known, what it has no answer for."""


def inputs_for(model: object, spec: PipelineSpec, columns: Sequence[str] | None = None) -> Inputs:
    """The features that a model reads, in its order. `columns` is what the user says of a model without names.

    Takes what `pack` takes; raises ModelError `pack_input` if they are not known, or are no features of the pipeline.
    """
    if isinstance(model, bytes):
        sizes = [given.type.tensor_type.shape.dim for given in score_inputs(read_model(model))]
        width = int(sizes[0][1].dim_value) if len(sizes) == 1 and len(sizes[0]) == 2 else 0
    else:
        width = Original.of(model).width
    return inputs_of(model, width, spec.feature_names, columns)


def pack(
    model: object,
    rows: Floats32,
    spec: PipelineSpec,
    *,
    inputs: Sequence[str] | None = None,
    labels: Labels | None = None,
    truths: Sequence[str] | None = None,
    expected: Floats32 | None = None,
    output_name: str | None = None,
    trainer: str = "",
    lineage: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    max_gap: float = TOLERANCE,
) -> Packed:
    """Pack a fitted scikit-learn estimator or Pipeline, a LightGBM model, or the bytes of a ready ONNX file.

    `rows` is a sample as the model will see it, float32 (n, inputs), its columns in the order of `inputs_for(model,
    spec, inputs)`: some of it become the golden rows, all of it is compared. `inputs` names the columns of a model that
    remembers no names. `labels` says which class a label stands for (by its text, or only the class of the second of
    two), `truths` the classes of the rows, "" where not known. For ONNX bytes, `expected` are the scores that its
    trainer saw for `rows`, in the order of the classes, and `output_name` is the score output if there are several.
    `lineage` and `metrics` go into the manifest: say at least `training_set`, the digest of what it was trained on.

    The same model and sample give the same bundle. Raises ModelError with a `pack_*`, `graph_*` or `manifest_invalid`
    reason; `pack_parity` where graph and original lie further apart than `max_gap`.
    """
    columns = inputs_for(model, spec, inputs)
    rows = np.ascontiguousarray(rows, np.float32)
    if rows.ndim != 2 or not len(rows) or rows.shape[1] != len(columns.names):
        raise ModelError(
            "pack_input",
            f"the sample has the shape {rows.shape}, but the model {len(columns.names)} inputs "
            f"({', '.join(columns.names)}): pass one column for each, or say which features they are with --columns.",
        )
    asked = Asked(spec.target.classes, labels, truths, expected)
    contract = Contract(spec.feature_names, spec.target.classes, Limits.of(spec.limits))
    about: dict[str, Any] = {
        "pipeline": spec.pipeline,
        "inputs": columns.names,
        "classes": spec.target.classes,
        "metrics": metrics,
        "trainer": trainer,
        "lineage": {
            "sample": hashlib.sha256(rows.tobytes()).hexdigest(),
            "columns": columns.how,
            **(lineage or {}),
        },
    }
    sample = _Sample(rows, asked)
    export = _ready(model, output_name, sample, about, contract) if isinstance(model, bytes) else None
    if export is None:
        sample = _answered(Original.of(model), sample)
        export = converted(model, len(columns.names), sample.rows, sample.asked)
    domains = [spec.domains[name] for name in columns.names]
    packed = _proven(export, sample, about, contract.limits, domains=domains, max_gap=max_gap)
    problems = check_manifest(packed.bundle.manifest, contract)
    if problems:
        raise ModelError("manifest_invalid", " ".join(problems))
    return packed._replace(notes=(columns.how, *sample.notes, *packed.notes))


class _Sample(NamedTuple):
    """Rows with what is known of them, and what was left out."""

    rows: Floats32
    asked: Asked
    notes: tuple[str, ...] = ()


def _answered(original: Original, sample: _Sample) -> _Sample:
    """The rows that the original answers: many refuse missing values. Raises ModelError if none is left."""
    holes = np.isnan(sample.rows)
    if not holes.any():
        return sample

    def score(rows: Floats32) -> Floats32:
        with quietly():
            return original.scores(rows).astype(np.float32)

    kept = np.flatnonzero(~holes[:, required_inputs(score, sample.rows)].any(axis=1))
    if kept.size == len(holes):
        return sample
    if not kept.size:
        raise ModelError(
            "pack_input",
            "every row of the sample lacks a value that the model needs: give it rows without missing values, or fit "
            "it with an imputer in front.",
        )
    asked = sample.asked
    if asked.truths is not None:
        asked = replace(asked, truths=[asked.truths[row] for row in kept.tolist()])
    left_out = f"{len(holes) - kept.size:,} of {len(holes):,} sample rows lack a value that it needs: they are left out"
    return _Sample(sample.rows[kept], asked, (left_out,))


def _ready(data: bytes, output_name: str | None, sample: _Sample, about: dict[str, Any], contract: Contract) -> Export:
    export = ready(data, output_name)
    check_graph(data, _draft(export, sample.rows, about), contract.limits)
    return in_pipeline_order(export, sample.rows, sample.asked) if contract.classes else export


def _draft(export: Export, rows: Floats32, about: Mapping[str, Any], **but: Any) -> Any:
    """A manifest of the export; golden rows are to come unless given."""
    outputs = len(about["classes"]) or 1
    fields = {
        "input_name": export.input_name,
        "output_name": export.output_name,
        "opset": export.opset,
        "golden_features": rows[:1],
        "golden_scores": np.zeros((1, outputs), np.float32),
        **about,
        "trainer": about["trainer"] or export.trainer,
        "lineage": {**export.lineage, **about["lineage"]},
    }
    return make_manifest(export.data, **{**fields, **but})


def _proven(
    export: Export,
    sample: _Sample,
    about: dict[str, Any],
    limits: Limits,
    *,
    domains: Sequence[Domain],
    max_gap: float,
) -> Packed:
    """Load what was exported, compare it with the original, and write down golden rows as the original answers them."""
    rows, expected = sample.rows, sample.asked.expected
    draft = _draft(export, rows, about)
    check_graph(export.data, draft, limits)
    with closing(Scorer.load(export.data, draft)) as scorer:
        answered = trainers = scorer.score(rows)
        score: Score = export.original or scorer.score
        required = required_inputs(score, rows) & [can.blank for can in domains]
        parity = None
        if export.original is not None:
            trainers = export.original(rows)
            parity = compare(export.original, scorer.score, read_model(export.data), rows, required, domains=domains)
        elif expected is not None:
            trainers = _as_answered(expected, answered)
            parity = compare_scores(trainers, answered)
    if parity and parity.max_gap > max_gap:
        raise ModelError("pack_parity", _disagreement(parity, max_gap))
    notes = [*export.notes, *_about_scores(export, rows, answered)]
    missing = [name for name, needed in zip(about["inputs"], required, strict=True) if needed]
    if missing:
        notes.append(f"it {refuses(missing)}")
    places = _golden_places(row_gaps(trainers, answered), rows.shape[1])
    manifest = _draft(
        export, rows, about, golden_features=rows[places], golden_scores=trainers[places], required=missing
    )
    return Packed(Bundle(manifest, export.data), parity, tuple(notes))


def _as_answered(expected: Floats32, answered: Floats32) -> Floats32:
    expected = np.asarray(expected, np.float32)
    if expected.size != answered.size:
        raise ModelError(
            "pack_input",
            f"the expected scores have the shape {expected.shape}, the model's {answered.shape}: give a row of scores "
            "for each row of the sample.",
        )
    return expected.reshape(answered.shape)


def _about_scores(export: Export, rows: Floats32, scores: Floats32) -> list[str]:
    """Remarks on a classifier's scores; raises ModelError if they are no probabilities, or not what it decides by."""
    if scores.shape[1] < 2:
        return []
    finite = scores[np.isfinite(scores).all(axis=1)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low < -_NO_PROBABILITY or high > 1 + _NO_PROBABILITY:
        raise ModelError(
            "pack_classes",
            f"its scores go from {low:.3g} to {high:.3g}, so they are no probabilities but margins: put a softmax or "
            "sigmoid at the end, or calibrate it (CalibratedClassifierCV).",
        )
    notes = []
    sums = finite.sum(axis=1, dtype=np.float64)
    if finite.size and np.abs(sums - 1).max() > _NO_PROBABILITY:
        notes.append(f"its scores do not add up to 1 but to {sums.min():.3g} … {sums.max():.3g}: published as they are")
    if export.chosen is not None:
        notes += _other_choices(export.chosen(rows), scores)
    return notes


def _other_choices(chosen: Ints, scores: Floats32) -> list[str]:
    """How often the original's own `predict` names another class than the one with the highest score."""
    known = np.flatnonzero(chosen >= 0)
    share = float((scores[known, chosen[known]] < scores[known].max(axis=1) - _TIE).mean()) if known.size else 0.0
    if share > _OTHER_CLASS:
        raise ModelError(
            "pack_classes",
            f"its predict() names another class than the one with the highest probability in {share:.1%} of the rows "
            "(a threshold of its own?). Freshet's label is the class with the highest score: pack the estimator in it.",
        )
    return [f"its predict() differs from its highest probability in {share:.2%} of the rows"] if share else []


def _golden_places(gaps: Floats, width: int) -> Ints:
    """Evenly spread rows of those that agree: a golden row that does not would have every admission refused."""
    agreeing = np.flatnonzero(gaps <= TOLERANCE)
    if not agreeing.size:
        raise ModelError("pack_parity", f"no row of the sample is answered within {TOLERANCE:g} of the original.")
    wanted = max(1, min(GOLDEN_ROWS, agreeing.size, _GOLDEN_BYTES // (4 * width)))
    return agreeing[np.linspace(0, agreeing.size - 1, wanted).astype(np.int64)]


_ADVICE: Final = {
    "sample": "In float32 it computes otherwise: scale the features first (StandardScaler), or take another estimator.",
    "splits": "The graph's trees branch otherwise than the original's.",
    "jumps": "A step before the trees computes otherwise in float32: fit the trees on the features themselves.",
    "categories": "Its ONNX form treats categories otherwise: encode them in the pipeline's features (one_hot).",
    "edges": "Its arithmetic leaves float32 at the edges: scale or clip the features in a Pipeline step.",
    "missing": "Its ONNX form treats missing values otherwise: fill them in a Pipeline step, as SimpleImputer does.",
}


def _disagreement(parity: Parity, max_gap: float) -> str:
    wide = [name for name, gap in parity.gaps.items() if gap > max_gap]
    advice = " ".join(_ADVICE[name] for name in wide)
    small = parity.max_gap <= _SMALL_GAP or _RARE.issuperset(wide)  # else it answers usual events otherwise
    accept = f" Or accept the gap: --max-gap {parity.max_gap * 1.1:.2g}." if small else ""
    return (
        f"the ONNX graph and the original lie {parity.max_gap:.2g} apart {GROUPS[wide[0]]}, more than {max_gap:g} "
        f"({parity.in_words()}; {parity.agreement:.2%} of labels agree). {advice}{accept}"
    )
