"""A table of one's own: in one command, and step by step with a model of one's own."""

import csv
import json
import math
import re
from collections import Counter
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from support.shell import Shell, shell

__all__ = ["shell"]

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = 3000
PIPELINE = ["--pipeline", "orders"]


def write_table(path: Path) -> None:
    """Numbers with gaps, a category, and a label that follows from them; the same each time."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["amount", "hour", "channel", "balance", "y"])
        for row in range(ROWS):
            amount, hour = round(50 + 40 * math.sin(row * 0.7) + row * 7919 % 97, 2), row * 31 % 24
            channel = ("web", "shop", "phone")[row * 17 % 5 % 3]
            balance = "" if row % 50 == 7 else round(math.cos(row), 3)
            label = "yes" if amount > 90 or (channel == "phone" and hour < 8) else "no"
            out.writerow([amount, hour, channel, balance, label])


def train(features: Path, model: Path, strength: float) -> None:
    """A script such as anybody would write: fit on the columns of a file, save with joblib."""
    with features.open() as file:
        _, *rows = csv.reader(file)
    values = np.array([[float(cell or "nan") for cell in row[:-1]] for row in rows], np.float32)
    estimator = make_pipeline(SimpleImputer(), LogisticRegression(C=strength, max_iter=500))
    joblib.dump(estimator.fit(values, [row[-1] for row in rows]), model)


def test_a_table_is_served_end_to_end_by_one_command(shell: Shell) -> None:
    """Pipeline, training, a swap half-way, and the verdict; a column with gaps is no obstacle.

    What models were trained on is not served, the second one answers the second half, and how right each was is said.
    """
    write_table(shell.folder / "orders.csv")
    # at the swap the last 1,000 labels of the first half are still to come: these surely follow their answers
    told = shell.freshet("stream", "orders.csv", "--label", "y", "--rate", "3000", "--labels-after", "1000")
    assert "live in epoch 1" in told
    assert "live in epoch 2" in told
    served = ROWS - ROWS // 10
    assert f"{served:,} predictions and 0 dead letters were read; 0 inputs are still on their way" in told
    assert not [line for line in told.splitlines() if line.lstrip().startswith("✗")]
    scores = re.findall(r"^(\d+\.\d+\.\d+) +([\d,]+) +0 +([\d,]+) +([\d.]+)% +([\d.]+)% +([\d.]+)%", told, re.MULTILINE)
    answered = [int(row[1].replace(",", "")) for row in scores]
    assert sum(answered) == served
    assert min(answered) > served * 0.3
    assert [row[1] for row in scores] == [row[2] for row in scores]
    quality = re.findall(
        r"^ +(all that was served|[\d.]+|without.*?)  +[\d.]+% right  of +[\d,]+ labels$", told, re.MULTILINE
    )
    assert quality[0] == "all that was served"
    assert scores[0][0] in quality
    assert re.search(r"^  (no alarm\.|alarm [0-9a-f]{8}, )", told, re.MULTILINE)
    assert re.search(r"frames of profiles folded again: \d+ alarms come again, each with the same id\.", told)
    assert len(re.findall(r"with a threshold of [\d.]+ would have raised", told)) == 2
    assert "freshet.evaluations say exactly the same" in told
    assert "repeating the label of the row before gives" in told
    assert re.search(r'prediction \d/\d+: {"event_id": ', told)
    assert shell.topics() == [], "it deletes what it made for itself"
    assert list((shell.folder / ".local/state").glob("stream*")) == []


@pytest.mark.faults
def test_a_table_is_retrained_on_and_two_runs_are_the_same(shell: Shell) -> None:
    """Trainings come at the rows that were asked for, evaluations are right, and nothing depends on when it came."""
    write_table(shell.folder / "orders.csv")
    asked = ("stream", "orders.csv", "--label", "y", "--retrain", "1000", "--labels-after", "500")
    first, second = (json.loads(shell.freshet(*asked, "--json")) for _ in range(2))
    assert first["verify"]["verdict"] == second["verify"]["verdict"] == "kept"
    assert [one["end_row"] for one in first["trainings"]] == [1000, 2000]
    assert {one["trigger"] for one in first["trainings"]} == {"rows"}
    assert (first["recount"]["differences"], first["recount"]["rows"]) == ([], 2500)
    assert first["digests"] == second["digests"]


def publish(shell: Shell, name: str, strength: float) -> str:
    """Train, pack, check, publish and promote a model; its version."""
    train(shell.folder / "features.csv", shell.folder / f"{name}.joblib", strength)
    shell.freshet("model", "pack", f"{name}.joblib", *PIPELINE, "--sample", "orders.csv", "-o", name)
    shell.freshet("model", "check", name)
    version: str = shell.document("model", "publish", name)["version"]
    shell.freshet("model", "promote", version, *PIPELINE)
    return version


def test_step_by_step_with_a_model_of_ones_own(shell: Shell) -> None:
    """From a table to verified predictions, a second model and back: nothing but commands and a training script."""
    write_table(shell.folder / "orders.csv")
    shell.freshet("pipeline", "new", "orders", "--csv", "orders.csv", "--label", "y")
    yaml = shell.folder / "orders" / "pipeline.yaml"
    yaml.write_text(yaml.read_text().replace("policy: immediate", "policy: manual"))
    shell.freshet("pipeline", "check", "orders")
    shell.freshet("local", "up")
    shell.freshet("apply", "-f", "orders")
    shell.begin("run", "registry")
    shell.begin("run", "ingestion", "--pipelines", "orders")
    shell.begin("run", "inference", "--pipelines", "orders")
    shell.freshet("pipeline", "features", "orders", "--csv", "orders.csv", "--label", "y", "-o", "features.csv")

    replay = ["replay", "orders.csv", *PIPELINE, "--label", "y", "--labels-after", "100", "--rate", "3000"]
    first = publish(shell, "first", 1.0)
    sent = shell.document(*replay, "--corrupt", "5%")
    spoiled = sum(sent["corrupted"].values())
    found = shell.document("verify", *PIPELINE, "--wait", "30")
    assert (found["pending"], found["answered"], found["dead"]) == (0, ROWS - spoiled, spoiled)
    letters = shell.document("dead-letters", "list", *PIPELINE)
    assert sum(letter["count"] for letter in letters) == spoiled > 0
    assert {letter["reason"].partition("_")[0] for letter in letters} == {"input"}

    second = publish(shell, "second", 1e-4)
    shell.freshet(*replay)
    shell.freshet("model", "rollback", *PIPELINE)
    shell.freshet(*replay, "--rows", "1500")
    found = shell.document("verify", *PIPELINE, "--wait", "30", "--scores", "400", "--last", "1h")
    assert (found["pending"], found["answered"]) == (0, ROWS - spoiled + ROWS + 1500)
    assert (found["verdict"], found["unjudged"]) == ("kept", [])
    scored = [one for one in found["findings"] if one["promise"] == "P5"]
    assert [(one["looked_at"], one["breaches"]) for one in scored] == [(400, 0)]
    scores = shell.document("score", *PIPELINE)
    assert {one["version"] for one in scores["versions"]} == {first, second}
    assert scores["labels"] == ROWS  # each replay sends the same events
    assert scores["compared"] == found["answered"]
    tail = shell.freshet("topic", "tail", "predictions", *PIPELINE, "--from", "beginning", "--json").splitlines()
    answers = Counter((row["value"]["epoch"], row["value"]["version"]) for row in map(json.loads, tail))
    assert set(answers) == {(1, first), (2, second), (3, first)}
    assert set(shell.end().values()) == {0}
