"""`freshet model pack`: a trained estimator becomes a bundle."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import joblib  # type: ignore[import-untyped]
import lightgbm
import numpy as np
import typer

from freshet.cli.csv_events import CsvEvents, sample_rows
from freshet.cli.features import feature_rows
from freshet.cli.output import Bootstrap, CommandError, Exit, Json, Namespace, emit, reporting, say
from freshet.cli.target import target
from freshet.contracts.arrays import Floats32
from freshet.contracts.cells import is_missing
from freshet.contracts.pipeline import PipelineSpec
from freshet.contracts.schemas import Schema
from freshet.models.pack import Packed
from freshet.models.pack import pack as pack_model

_SAMPLE_ROWS: Final = 10_000


@reporting
def pack(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A pickled estimator (.pkl, .joblib), LightGBM's .txt, or .onnx.")
    ],
    pipeline: Annotated[str, typer.Option(metavar="FOLDER|NAME", help="Its folder, or its name if it is published.")],
    sample: Annotated[Path, typer.Option(metavar="ROWS.csv", help="Rows like those it will see: events, or features.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to write the bundle.")],
    label: Annotated[
        list[str] | None, typer.Option(metavar="LABEL=CLASS", help="Which class a label of the estimator stands for.")
    ] = None,
    lineage: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="Where it comes from, such as training_set=SHA256.")
    ] = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Turn a model into ONNX, prove that it still answers alike, and write the bundle that `model publish` takes.

    A pickle runs whatever it holds: pack only files of your own, on your own machine. Bundles hold none.
    """
    spec, schema = target(pipeline, bootstrap, namespace)
    model = _load(file)
    inputs = _inputs(model, spec)
    rows = _rows(sample, spec, schema, inputs)
    say(f"{len(rows):,} sample rows of {len(inputs)} features")
    packed = pack_model(model, rows, spec, inputs=inputs, labels=_labels(model, _pairs(label)), lineage=_pairs(lineage))
    packed.bundle.save(output)
    emit(_document(packed, output), _sentence(packed, output), as_json=as_json)


def _load(file: Path) -> object:
    """The model in a file, by its ending. Nothing else in Freshet unpickles: this is the user's own file."""
    try:
        if file.suffix == ".onnx":
            return file.read_bytes()
        if file.suffix == ".txt":
            return lightgbm.Booster(model_file=str(file))
        say(f"unpickling {file}: this runs code that the file names, so it must be yours")
        return joblib.load(file)
    except Exception as error:  # a damaged pickle, or code that is not here, raises whatever it likes
        raise CommandError(
            f"{file} cannot be read as a model: {type(error).__name__}: {error}. It must be a .onnx file, LightGBM's "
            ".txt, or a pickled estimator whose libraries are installed here.",
            Exit.USAGE,
        ) from error


def _inputs(model: object, spec: PipelineSpec) -> tuple[str, ...]:
    """The features that the estimator was fitted with by name, or all."""
    fitted = tuple(map(str, getattr(model, "feature_names_in_", ())))
    return fitted if fitted and set(fitted) <= set(spec.feature_names) else spec.feature_names


def _rows(path: Path, spec: PipelineSpec, schema: Schema, inputs: Sequence[str]) -> Floats32:
    """The sample as the model will see it: its feature columns, or features computed from its event columns."""
    header, cells = sample_rows(path, _SAMPLE_ROWS)
    if set(inputs) <= set(header):
        at = [header.index(name) for name in inputs]
        try:
            return np.array(
                [[float("nan" if is_missing(row[index], "float") else row[index]) for index in at] for row in cells],
                np.float32,
            ).reshape(-1, len(at))
        except (ValueError, IndexError) as error:
            raise CommandError(f"{path}: a feature is not a number: {error}.", Exit.USAGE) from error
    some: list[Floats32] = []
    source = CsvEvents(path, spec, schema)
    for line in (*source.table.told, *source.survey.told):
        say(line)
    for events in source:
        some.append(feature_rows(spec, schema, events)[0])
        if sum(map(len, some)) >= _SAMPLE_ROWS:
            break
    features = np.concatenate(some) if some else np.empty((0, len(spec.feature_names)), np.float32)
    chosen: Floats32 = features[:, [spec.feature_names.index(name) for name in inputs]]
    return chosen


def _pairs(texts: list[str] | None) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts or ())
    if not all(pairs.values()):
        raise CommandError(f"{(texts or [''])[0]!r} is not NAME=VALUE.", Exit.USAGE)
    return pairs


def _labels(model: object, named: Mapping[str, str]) -> dict[Any, str] | None:
    """Classes by the estimator's own labels, which may be numbers."""
    if not named:
        return None
    known = {str(label): label for label in np.asarray(getattr(model, "classes_", list(named))).tolist()}
    strangers = [text for text in named if text not in known]
    if strangers:
        raise CommandError(
            f"the estimator has no label {strangers[0]!r}; its labels are {', '.join(known)}.", Exit.USAGE
        )
    return {known[text]: name for text, name in named.items()}


def _document(packed: Packed, output: Path) -> dict[str, Any]:
    parity = packed.parity
    return {
        "bundle": str(output),
        "digest": packed.bundle.manifest.digest,
        "size_bytes": packed.bundle.manifest.size_bytes,
        "inputs": list(packed.bundle.manifest.inputs),
        "classes": list(packed.bundle.manifest.classes),
        "parity": None
        if parity is None
        else {"rows": parity.rows, "gaps": dict(parity.gaps), "agreement": parity.agreement},
    }


def _sentence(packed: Packed, output: Path) -> str:
    manifest, parity = packed.bundle.manifest, packed.parity
    proof = (
        f"on {parity.rows:,} rows its scores lie at most {parity.max_gap:.1g} from the original's"
        if parity
        else "there was no original to compare it with"
    )
    return (
        f"packed {manifest.trainer} as {manifest.digest[:12]} ({manifest.size_bytes / 1024:,.0f} KiB): {proof}.\n"
        f"Next: freshet model publish {output}"
    )
