"""The options of `freshet model pack`: each does what a refusal advises."""

import csv
import json
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import lightgbm
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner, Result

from freshet.cli.main import app
from freshet.cli.output import Exit
from freshet.models.bundle import Bundle
from support.fitted import NAMES, table, wanted
from support.models import FEATURES, softmax, softmax_scores

ROWS = table(400).astype(np.float32)
TRUTH = wanted(table(400))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A pipeline's folder, whose classes stand in the order of the alphabet."""
    return _folder(tmp_path / "shop", NAMES, "[fraud, legit]")


def _folder(folder: Path, names: tuple[str, ...], classes: str) -> Path:
    folder.mkdir()
    columns = "".join(f"    - {{kind: field, of: {name}}}\n" for name in names)
    (folder / "pipeline.yaml").write_text(
        f"pipeline: shop\nentity: who\nevent_id: id\nevent_time: at\nfeatures:\n  version: 1\n  columns:\n{columns}"
        f"target:\n  classes: {classes}\n"
    )
    time = {"type": "long", "logicalType": "timestamp-millis"}
    fields: list[dict[str, Any]] = [
        {"name": "id", "type": "string"},
        {"name": "who", "type": "string"},
        {"name": "at", "type": time},
    ]
    fields += [{"name": name, "type": ["null", "double"], "default": None} for name in names]
    (folder / "event.avsc").write_text(json.dumps({"type": "record", "name": "Shop", "fields": fields}))
    return folder


def _csv(path: Path, header: Any, rows: Any) -> Path:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        out.writerows(rows)
    return path


def _features(shop: Path, labels: Any = None) -> Path:
    """A table of features, with a column of labels if there are any."""
    rows = [[float(value) for value in row] for row in ROWS]
    if labels is None:
        return _csv(shop.parent / "features.csv", NAMES, rows)
    labelled = [[*row, label] for row, label in zip(rows, labels, strict=True)]
    return _csv(shop.parent / "features.csv", [*NAMES, "verdict"], labelled)


def pack(file: Path, shop: Path, sample: Path, *more: str) -> Result:
    arguments = ["--pipeline", str(shop), "--sample", str(sample), "-o", str(shop.parent / "bundle"), *more]
    return CliRunner().invoke(app, ["model", "pack", str(file), "--json", *arguments])


def _bundle(shop: Path) -> Bundle:
    return Bundle.load(shop.parent / "bundle")


def _booster(shop: Path, order: list[int]) -> Path:
    data = lightgbm.Dataset(ROWS[:, order], TRUTH.astype(int), feature_name=[NAMES[at] for at in order])
    path = shop.parent / "booster.txt"
    lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5).save_model(path)
    return path


def test_a_booster_in_another_order_is_packed_by_its_names(shop: Path) -> None:
    """And what its 1 means is said by --label; without it, the advice names the option."""
    file = _booster(shop, [2, 0, 3, 1])
    refused = pack(file, shop, _features(shop))
    assert refused.exit_code == Exit.FAILURE
    assert "--label CLASS for what its second label (1) means" in refused.stderr
    found = pack(file, shop, _features(shop), "--label", "fraud")
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert document["inputs"] == ["items", "amount", "hour", "age"]
    assert max(document["parity"]["gaps"].values()) < 1e-6
    assert "0 is legit, 1 is fraud" in found.stderr


def test_the_samples_labels_say_what_numbers_mean(shop: Path) -> None:
    """In the one column that holds nothing but classes and blanks, or in --label-column."""
    labels = np.where(TRUTH, "fraud", "legit").tolist()
    labels[3] = ""
    file = _booster(shop, [0, 1, 2, 3])
    found = pack(file, shop, _features(shop, labels))
    assert found.exit_code == 0, found.output
    assert "labelled in column verdict" in found.stderr
    assert "as the labelled rows of the sample show: 0 is legit, 1 is fraud" in found.stderr
    swapped = pack(file, shop, _features(shop, labels), "--label", "legit", "--label-column", "verdict")
    assert swapped.exit_code == Exit.FAILURE
    assert "its classes look swapped" in swapped.stderr
    assert pack(file, shop, _features(shop, labels), "--label-column", "nosuch").exit_code == Exit.USAGE


def test_columns_are_told_where_a_model_remembers_none(shop: Path) -> None:
    """--columns, in the model's order."""
    names = np.where(TRUTH, "fraud", "legit")
    path = shop.parent / "three.joblib"
    joblib.dump(LogisticRegression().fit(ROWS[:, [3, 1]], names), path)
    refused = pack(path, shop, _features(shop))
    assert "--columns a,b,c" in refused.stderr
    found = pack(path, shop, _features(shop), "--columns", "hour,age")
    assert found.exit_code == 0, found.output
    assert _bundle(shop).manifest.inputs == ("hour", "age")
    assert _bundle(shop).manifest.required == ("hour", "age")
    assert "it has no answer where hour or age has no value" in found.stderr


def test_a_gap_is_accepted_by_its_option(shop: Path) -> None:
    """The refusal says which, and how far."""
    path = shop.parent / "model.joblib"
    joblib.dump(LogisticRegression().fit(ROWS[:, [3, 1]], np.where(TRUTH, "fraud", "legit")), path)
    refused = pack(path, shop, _features(shop), "--columns", "hour,age", "--max-gap", "0")
    assert refused.exit_code == Exit.FAILURE
    assert "Or accept the gap: --max-gap" in refused.stderr
    assert pack(path, shop, _features(shop), "--columns", "hour,age", "--max-gap", "0.01").exit_code == 0


def test_a_ready_graph_is_compared_with_its_trainers_scores(tmp_path: Path) -> None:
    """--expected, a column for each class in any order, which also says which score is which."""
    folder = _folder(tmp_path / "p", FEATURES, "[fraud, legit]")
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    sample = _csv(tmp_path / "rows.csv", FEATURES, rows.tolist())
    scores = softmax_scores(rows)
    file = tmp_path / "model.onnx"
    file.write_bytes(softmax())
    assert "nothing says which" in pack(file, folder, sample).stderr
    expected = _csv(tmp_path / "scores.csv", ["legit", "fraud"], scores.tolist())
    found = pack(file, folder, sample, "--expected", str(expected), "--output-name", "scores")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["parity"]["gaps"]["sample"] < 1e-6
    short = _csv(tmp_path / "short.csv", ["legit", "fraud"], scores[:-1].tolist())
    assert "must hold the scores of exactly these rows" in pack(file, folder, sample, "--expected", str(short)).stderr
    other = _csv(tmp_path / "other.csv", ["a", "b"], scores.tolist())
    assert "titled with the class: fraud, legit" in pack(file, folder, sample, "--expected", str(other)).stderr
    wrong = _csv(tmp_path / "wrong.csv", ["legit", "fraud"], (scores * 0.9).tolist())
    assert "pack_parity" in pack(file, folder, sample, "--expected", str(wrong), "--label", "fraud").stderr
    assert "its outputs" in pack(file, folder, sample, "--output-name", "nosuch").stderr.replace(
        "float outputs", "its outputs"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.json", "convert_xgboost"),
        ("model.pt", "torch.onnx.export"),
        ("model.cbm", "CatBoost"),
        ("absent.joblib", "there is no file"),
    ],
)
def test_other_files_are_told_how_to_come(name: str, told: str, shop: Path) -> None:
    """Before any library is loaded."""
    if not name.startswith("absent"):
        (shop.parent / name).write_bytes(b"{}")
    found = pack(shop.parent / name, shop, _features(shop))
    assert found.exit_code == Exit.USAGE
    assert told in found.stderr


@pytest.mark.parametrize("label", ["nosuch", "1=nosuch", "=fraud"])
def test_a_label_that_names_no_class_is_refused(label: str, shop: Path) -> None:
    """With the classes that there are."""
    found = pack(_booster(shop, [0, 1, 2, 3]), shop, _features(shop), "--label", label)
    assert found.exit_code == Exit.USAGE
    assert "the classes are fraud, legit" in found.stderr
