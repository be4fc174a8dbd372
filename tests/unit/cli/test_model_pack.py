"""`freshet model pack` on files as people have them."""

import csv
import json
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner, Result

from freshet.cli.main import app
from freshet.cli.output import Exit
from freshet.contracts.shipped import pipelines_dir
from freshet.models.bundle import Bundle
from freshet.pipeline import load_folder
from support.signed import KeyRing

LOANS = pipelines_dir() / "loans"
FEATURES = load_folder(LOANS)[0].feature_names
EVENT = "salary,commission,age,elevel,car,zipcode,hvalue,hyears,loan"


def fitted(labels: list[object], folder: Path) -> Path:
    """A classifier of the pipeline's features with these two labels, as a file."""
    rows = np.random.default_rng(0).normal(size=(64, len(FEATURES))).astype(np.float32)
    model = LogisticRegression().fit(rows, [labels[int(row[0] > 0)] for row in rows])
    path = folder / "model.joblib"
    joblib.dump(model, path)
    return path


def pack(file: Path, sample: Path, *more: str) -> Result:
    arguments = ["--pipeline", str(LOANS), "--sample", str(sample), "-o", str(file.parent / "bundle"), *more]
    return CliRunner().invoke(app, ["model", "pack", str(file), "--json", *arguments])


def event_rows(folder: Path) -> Path:
    path = folder / "events.csv"
    path.write_text(EVENT + "\n" + "50000,0,40,2,3,4,100000,5,9000\n60000,10,50,1,3,4,0,5,100\n")
    return path


def test_events_become_the_features_that_the_model_is_proven_on(tmp_path: Path) -> None:
    """A sample of events goes through the pipeline's own transforms; the bundle answers as the estimator does."""
    found = pack(fitted(["approved", "declined"], tmp_path), event_rows(tmp_path))
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    bundle = Bundle.load(tmp_path / "bundle")
    assert document["digest"] == bundle.manifest.digest
    assert document["inputs"] == list(FEATURES)
    assert document["parity"]["gaps"]["sample"] < 1e-5
    golden = np.frombuffer(bundle.manifest.golden.features, np.float32).reshape(-1, len(FEATURES))
    assert golden[0, :2].tolist() == [50_000, 0]
    assert "unpickling" in found.stderr


def test_a_table_of_features_is_taken_by_column_name(tmp_path: Path) -> None:
    """Columns in any order, empty cells as missing values: what a training script saves beside its model."""
    path = tmp_path / "features.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(reversed(FEATURES))
        writer.writerows([[len(FEATURES) - 1 - at for at in range(len(FEATURES))]] * 8)
    found = pack(fitted(["approved", "declined"], tmp_path), path)
    assert found.exit_code == 0, found.output
    golden = np.frombuffer(Bundle.load(tmp_path / "bundle").manifest.golden.features, np.float32)
    assert golden[: len(FEATURES)].tolist() == list(range(len(FEATURES)))


def test_labels_of_the_estimator_are_named_as_classes(tmp_path: Path) -> None:
    """Numeric labels in another order than the pipeline's classes are told apart by --label; a wrong one is refused."""
    file = fitted([1, 7], tmp_path)
    assert pack(file, event_rows(tmp_path)).exit_code == Exit.FAILURE
    named = pack(file, event_rows(tmp_path), "--label", "1=declined", "--label", "7=approved")
    assert named.exit_code == 0, named.output
    unknown = pack(file, event_rows(tmp_path), "--label", "2=declined")
    assert unknown.exit_code == Exit.FAILURE
    assert "its labels are 1, 7" in unknown.stderr


@pytest.mark.parametrize("name", ["model.joblib", "model.txt", "absent.onnx"])
def test_a_file_that_is_no_model_is_told_in_a_sentence(name: str, tmp_path: Path) -> None:
    """Whatever the loaders raise, the answer names the file; with --json it is the document, for scripts."""
    if not name.startswith("absent"):
        (tmp_path / name).write_bytes(b"nonsense")
    found = pack(tmp_path / name, event_rows(tmp_path))
    assert found.exit_code == Exit.USAGE, found.output
    assert name in found.stderr
    assert json.loads(found.stdout)["exit_code"] == Exit.USAGE


def test_pack_writes_over_its_own_bundle_only(tmp_path: Path) -> None:
    """A bundle of this pipeline is made anew; somebody's model.onnx in that folder is kept until --force."""
    model, sample, bundle = fitted(["approved", "declined"], tmp_path), event_rows(tmp_path), tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model.onnx").write_bytes(b"mine")
    refused = pack(model, sample)
    assert refused.exit_code == Exit.CONFLICT
    assert "model.onnx exists already, and is no bundle" in refused.stderr
    assert (bundle / "model.onnx").read_bytes() == b"mine"
    assert pack(model, sample, "--force").exit_code == 0
    assert pack(model, sample).exit_code == 0
    text = (bundle / "manifest.json").read_text().replace('"pipeline": "loans"', '"pipeline": "cards"')
    (bundle / "manifest.json").write_text(text)
    assert "is of pipeline 'cards'" in pack(model, sample).stderr


def test_a_bundle_that_is_packed_with_a_key_says_who_signed_it(tmp_path: Path) -> None:
    """As `model sign` says it; a key that the named trust file does not trust as a builder's is refused at once."""
    ring = KeyRing()
    named = ["--trust", str(ring.save(tmp_path))]
    arguments = [
        "--pipeline",
        str(LOANS),
        "--sample",
        str(event_rows(tmp_path)),
        "-o",
        str(tmp_path / "bundle"),
        *named,
    ]
    command = ["model", "pack", str(fitted(["approved", "declined"], tmp_path)), *arguments, "--key"]
    refused = CliRunner().invoke(app, [*command, str(tmp_path / "release.pem")])
    assert (refused.exit_code, (tmp_path / "bundle").exists()) == (Exit.USAGE, False)
    packed = CliRunner().invoke(app, [*command, str(tmp_path / "builder.pem")])
    assert packed.exit_code == 0, packed.output
    assert f"Signed with key {ring.builder.id}: {named[1]} trusts it as a builder's." in packed.stdout
    assert Bundle.load(tmp_path / "bundle").signatures.keys() == {ring.builder.id}
