"""Packed models on recorded rows of the labelled log. Needs the extras `tables` and `inference`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from freshet.client.pipeline_tests.case_files import ModelCase
from freshet.client.pipeline_tests.failures import Failure
from freshet.contracts.arrays import Floats32
from freshet.models.bundle import Bundle
from freshet.models.contract import Contract, Limits
from freshet.models.manifest import check_manifest
from freshet.models.model_error import ModelError
from freshet.models.scorer import Scorer
from freshet.operate.export.column_names import score_columns
from freshet.outcomes.outcome_rows import FIRST, OutcomeRows
from freshet.pipeline import PipelineSpec
from freshet.quality.figures import figures
from freshet.quality.setting import setting_of

_MODEL = "model"


def failures(spec: PipelineSpec, cases: Sequence[ModelCase], file: Path) -> Iterator[Failure]:
    """What models of these cases are not worth; paths are from the test file's folder."""
    for case in cases:
        for what, advice in _problems(spec, case, file.parent):
            yield Failure(f"{file}: {case.name}", what, advice)


def _problems(spec: PipelineSpec, case: ModelCase, folder: Path) -> Iterator[tuple[str, str]]:
    try:
        bundle = Bundle.load(folder / case.bundle)
        contract = Contract(spec.feature_names, spec.target.classes, Limits.of(spec.limits))
        if wrong := check_manifest(bundle.manifest, contract):
            yield f"{folder / case.bundle} is no model of {spec.pipeline}: {' '.join(wrong)}", "Pack one that is."
            return
        rows = recorded_rows(folder / case.rows, spec)
        scorer = Scorer.load(bundle.data, bundle.manifest)
    except ModelError as error:
        yield error.detail, "Pack the model, or mend the path: it is from the test file's folder."
        return
    except (OSError, KeyError, ValueError) as error:
        export = f"`freshet topic export --pipeline {spec.pipeline} --role outcomes --parquet FILE` writes one."
        yield f"{folder / case.rows} is no recorded labelled log of {spec.pipeline}: {error}", export
        return
    if not len(rows):
        yield f"{folder / case.rows} has no row that measures a prediction.", "Record a range with labels."
        return
    columns = [spec.feature_names.index(name) for name in bundle.manifest.inputs]
    scores = scorer.score(np.ascontiguousarray(rows.values[:, columns]))
    yield from _against_bounds(case, figures(rows, {_MODEL: scores}, setting_of(spec)), len(rows))
    yield from _against_recorded(case, scores, rows)


def _against_bounds(case: ModelCase, found: dict[str, float], rows: int) -> Iterator[tuple[str, str]]:
    known = {name.removeprefix(f"{_MODEL}."): value for name, value in found.items()}
    for bounds, word, broken in ((case.at_least, "less", np.less), (case.at_most, "more", np.greater)):
        for name, bound in bounds.items():
            if name not in known:
                yield f"{name} is not measured on these rows", f"Measured are {', '.join(sorted(known))}."
            elif broken(known[name], bound):
                yield (
                    f"{name} is {known[name]:.4g} on {rows:,} rows, {word} than {bound:g}",
                    "Train it better, or lower what is asked for if these rows are harder than they were.",
                )


def _against_recorded(case: ModelCase, scores: Floats32, rows: OutcomeRows) -> Iterator[tuple[str, str]]:
    furthest, most = case.scores_differ_at_most, case.answers_differ_at_most
    if furthest is not None:
        gaps = np.abs(scores - rows.scores).max(axis=1)
        far = np.flatnonzero(~(gaps <= furthest))
        if far.size:
            worst = far[gaps[far].argmax()]
            yield (
                f"the scores of {far.size:,} of {len(rows):,} rows lie more than {furthest:g} from those recorded, "
                f"that of prediction offset {rows.prediction_offset[worst]} by {gaps[worst]:.3g}",
                "Is it the version that was served when the rows were recorded?",
            )
    share = float((scores.argmax(axis=1) != rows.answer).mean()) if scores.shape[1] > 1 else 0.0
    if most is not None and share > most:
        yield (
            f"{share:.2%} of {len(rows):,} rows get another class than was recorded, of which {most:.2%} may",
            "Look at these rows before you publish it: what depends on the answers will see the difference.",
        )


def recorded_rows(path: Path, spec: PipelineSpec) -> OutcomeRows:
    """Of an exported labelled log the rows that measure a prediction: each once, labelled after it was asked.

    What no metric needs is 0. Raises OSError, KeyError or ValueError if the file is no such export.
    """
    table = parquet.read_table(path)
    first, known, bare = (_numbers(table, name).astype(bool) for name in ("first", "known_before", "no_values"))
    table = table.filter(first & ~known & ~bare)
    count, places = table.num_rows, {name: at for at, name in enumerate(spec.target.classes)}

    def place(name: str) -> Any:
        if not places:
            return np.full(count, -1)
        return np.array([places[text] for text in table.column(name).to_pylist()], np.int64)

    def matrix(names: Sequence[str]) -> Floats32:
        return np.column_stack([_numbers(table, name) for name in names]).astype(np.float32)

    names = [f"feature.{name}" if f"feature.{name}" in table.column_names else name for name in spec.feature_names]
    zeros = np.zeros(count, np.int64)
    unused = ("label_offset", "features_offset", "event_time_ms", "predicted_ms", "labelled_ms", "claimed_ms")
    return OutcomeRows(
        ("",),
        prediction_offset=_numbers(table, "prediction_offset"),
        **dict.fromkeys((*unused, "version", "epoch", "fallback", "revision"), zeros),
        answer=place("answer"),
        label=place("label"),
        truth=np.full(count, np.nan) if places else _numbers(table, "truth"),
        scores=matrix(score_columns(spec)),
        weight=zeros + 1,
        flags=zeros + FIRST,
        values=matrix(names),
    )


def _numbers(table: Any, name: str) -> Any:
    return table.column(name).to_numpy()
