"""`freshet model pack`: a trained estimator becomes a bundle."""

import csv
from pathlib import Path
from typing import Annotated, Any

import typer

from freshet.cli.model.sign import Trust, with_key
from freshet.cli.output import Bootstrap, Force, Json, Namespace, connect, emit, reporting, say
from freshet.cli.table_options import Decimal, Delimiter, Encoding
from freshet.models.bundle import Bundle
from freshet.models.classes import Labels
from freshet.models.contract import TOLERANCE
from freshet.models.model_error import ModelError
from freshet.models.packing import Packed, inputs_for
from freshet.models.packing import pack as pack_model
from freshet.models.saved import check_saved, is_pickle, load_saved
from freshet.operate.bundle_folder import bundle_files
from freshet.operate.operate_error import OperateError
from freshet.operate.private_key import builder_key, sign_bundle
from freshet.operate.tables.sample import Sample, read_expected, read_sample
from freshet.operate.tables.table import Dialect
from freshet.operate.target import target
from freshet.pipeline import PipelineSpec
from freshet.trust.signing_key import SigningKey

Key = Annotated[Path | None, typer.Option(metavar="FILE", help="Sign it with this private key, as `model sign` does.")]
Lineage = Annotated[
    list[str] | None, typer.Option(metavar="NAME=TEXT", help="Where it comes from, such as training_set=SHA256.")
]


@reporting
def pack(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A pickled estimator (.pkl, .joblib), LightGBM's .txt, or .onnx.")
    ],
    pipeline: Annotated[str, typer.Option(metavar="FOLDER|NAME", help="Its folder, or its name if it is published.")],
    sample: Annotated[Path, typer.Option(metavar="ROWS.csv", help="Rows like those it will see: events, or features.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to write the bundle.")],
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="The features that it reads, in its order, if it remembers no names."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=CLASS|CLASS",
            help="The class that a label of the model stands for; of two labels, that of the second (1, True) will do.",
        ),
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The sample's column of classes; by default the one that fits.")
    ] = None,
    expected: Annotated[
        Path | None,
        typer.Option(metavar="SCORES.csv", help="For .onnx: its trainer's scores of the sample, a column per class."),
    ] = None,
    output_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="For .onnx with several outputs: the one with the scores.")
    ] = None,
    max_gap: Annotated[
        float, typer.Option(metavar="GAP", min=0, help="How far its scores may lie from the original's.")
    ] = TOLERANCE,
    lineage: Lineage = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    key: Key = None,
    trust: Trust = None,
    force: Force = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Turn a model into ONNX, prove that it still answers alike, and write the bundle that `model publish` takes.

    A pickle runs whatever it holds: pack only files of your own, on your own machine. Bundles hold none. A bundle of
    this pipeline in DIR is written anew; any other model or manifest there is kept, unless --force is given.
    """
    _check_file(file, expected)
    signer = None if key is None else builder_key(key, trust)
    spec, schema = target(pipeline, lambda: connect(bootstrap, namespace))
    _refuse_other(output, spec, force=force)
    model = _load(file)
    names = inputs_for(model, spec, None if columns is None else next(csv.reader([columns]))).names
    dialect = Dialect(delimiter, encoding, decimal)
    found = read_sample(sample, spec, schema, names, label_column=label_column, dialect=dialect, say=say)
    say(_about(found, len(names)))
    packed = pack_model(
        model,
        found.rows,
        spec,
        inputs=None if columns is None else names,
        labels=_labels(label, spec),
        truths=found.truths,
        expected=None if expected is None else read_expected(expected, spec, len(found.rows)),
        output_name=output_name,
        lineage=_pairs(lineage),
        max_gap=max_gap,
    )
    signed = "" if signer is None else f"Signed {with_key(signer, trust)}\n"
    _save(packed if signer is None else _signed(packed, signer), output, signed, as_json=as_json)


def _check_file(file: Path, expected: Path | None) -> None:
    """Say what can be said before libraries are loaded."""
    try:
        check_saved(file)
    except ModelError as error:
        raise OperateError(error.detail, "usage") from error
    if expected is not None and file.suffix != ".onnx":
        raise OperateError("--expected is for .onnx files: any other model is asked itself.", "usage")


def _refuse_other(folder: Path, spec: PipelineSpec, *, force: bool) -> None:
    """Raise OperateError if the bundle's files are there, and are no bundle of this pipeline."""
    there = bundle_files(folder)
    if force or not there:
        return
    try:
        owner = Bundle.load(folder).manifest.pipeline
    except ModelError:
        owner = ""
    if owner != spec.pipeline:
        raise OperateError(
            f"{there[0]} exists already, and is {f'of pipeline {owner!r}' if owner else 'no bundle'}. Name another "
            "folder, or write over it with --force.",
            "conflict",
        )


def _load(file: Path) -> object:
    if is_pickle(file):
        say(f"unpickling {file}: this runs code that the file names, so it must be yours")
    try:
        return load_saved(file)
    except ModelError as error:
        raise OperateError(error.detail, "usage") from error


def _about(sample: Sample, width: int) -> str:
    labels = f", labelled in column {sample.label}" if sample.label else ""
    return f"{len(sample.rows):,} sample rows of {width} features{labels}"


def _labels(texts: list[str] | None, spec: PipelineSpec) -> Labels | None:
    """Classes by label, or the one class that the second label stands for."""
    texts, classes = texts or [], spec.target.classes
    alone = [text for text in texts if text in classes]
    if len(alone) == 1 == len(texts):
        return alone[0]
    pairs = {}
    for text in texts:
        label, _, name = text.rpartition("=")
        while label and name not in classes and "=" in label:  # a class may hold an equals sign
            label, _, more = label.rpartition("=")
            name = f"{more}={name}"
        if not label or name not in classes:
            raise OperateError(
                f"--label {text} is neither LABEL=CLASS nor a class; the classes are {', '.join(classes)}.", "usage"
            )
        pairs[label] = name
    return pairs or None


def _pairs(texts: list[str] | None) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts or ())
    if not all(pairs.values()):
        raise OperateError(f"{(texts or [''])[0]!r} is not NAME=VALUE.", "usage")
    return pairs


def _signed(packed: Packed, signer: SigningKey) -> Packed:
    return packed._replace(bundle=sign_bundle(packed.bundle, signer))


def _save(packed: Packed, output: Path, signed: str, *, as_json: bool) -> None:
    packed.bundle.save(output)
    for note in packed.notes:
        say(note)
    emit(_document(packed, output), _sentence(packed, output, signed), as_json=as_json)


def _document(packed: Packed, output: Path) -> dict[str, Any]:
    manifest, parity = packed.bundle.manifest, packed.parity
    return {
        "bundle": str(output),
        "digest": manifest.digest,
        "keys": sorted(packed.bundle.signatures),
        "size_bytes": manifest.size_bytes,
        "inputs": list(manifest.inputs),
        "classes": list(manifest.classes),
        "required": list(manifest.required),
        "notes": list(packed.notes),
        "parity": None
        if parity is None
        else {"rows": parity.rows, "gaps": dict(parity.gaps), "agreement": parity.agreement},
    }


def _sentence(packed: Packed, output: Path, signed: str) -> str:
    manifest, parity = packed.bundle.manifest, packed.parity
    proof = (
        f"on {parity.rows:,} rows its scores lie at most {parity.max_gap:.2g} from the original's: {parity.in_words()}"
        if parity
        else "there was no original to compare it with (--expected compares it with its trainer's scores)"
    )
    return (
        f"packed {manifest.trainer} as {manifest.digest[:12]} ({manifest.size_bytes / 1024:,.0f} KiB): {proof}.\n"
        f"{signed}Next: freshet model publish {output}"
    )
