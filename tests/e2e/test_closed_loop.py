"""The whole loop by itself, with the commands that a person types: the world changes, and a new model answers."""

import csv
import random
import time
from collections.abc import Callable
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from support.shell import Shell, shell

__all__ = ["shell"]

# the demo goes through the whole loop in `make test`
pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(600)]

_CHANGE = 2_500
"""From this row on the answer is the other one."""
_ROWS = 7_500
_MORE = 200
"""So many rows are sent once the new model answers: when that is depends on the machine."""
_PATIENCE_S = 180.0  # the longest step is the training, on cores that other tests share
_SECTION = """
retraining:
  triggers:
    - {kind: alarm}
  min_rows: 400
  gate:
    - {metric: accuracy, not_worse_by: 0.01}
"""


def rows_of(count: int) -> list[list[str]]:
    """Events whose label follows from two numbers, but for one in twenty; the rule turns round at the change."""
    chance, rows = random.Random(2), []
    for number in range(count):
        a, b = chance.random(), chance.gauss(0, 1)
        truth = (a + 0.2 * b > 0.5) != (number >= _CHANGE)
        seen = truth if chance.random() > 0.05 else not truth
        rows.append([f"e{number}", f"w{number % 50}", f"{a:.5f}", f"{b:.5f}", "yes" if seen else "no"])
    return rows


def write_table(path: Path, rows: list[list[str]]) -> None:
    """As a person's file."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "who", "a", "b", "y"], *rows])


def first_model(features: Path, path: Path) -> None:
    """What a person would train on the rows before the change."""
    _, *rows = csv.reader(features.read_text().splitlines())
    values = np.array([row[:-1] for row in rows], np.float32)
    joblib.dump(LogisticRegression().fit(values, [row[-1] for row in rows]), path)


def wait(for_it: Callable[[], bool], shell: Shell) -> None:
    """Until it is so; fails with what the services said where it never is."""
    deadline = time.monotonic() + _PATIENCE_S
    while not for_it():
        assert time.monotonic() < deadline, (shell.folder / "wx.log").read_text()
        time.sleep(0.5)


def serving(shell: Shell) -> set[str]:
    """The versions that answer now."""
    return {row["version"] for row in shell.document("model", "list", "--pipeline", "wx") if row["now"] == "answers"}


def test_a_change_of_the_world_ends_in_a_model_that_answers_rightly(shell: Shell) -> None:
    """Event, prediction, late label, alarm, training, gate, admission, cut-over: nobody touches anything in between."""
    table = rows_of(_ROWS + _MORE)
    write_table(shell.folder / "all.csv", table[:_ROWS])
    write_table(shell.folder / "more.csv", table[_ROWS:])
    write_table(shell.folder / "before.csv", table[:1_500])
    shell.freshet("pipeline", "new", "wx", "--csv", "all.csv", "--label", "y", "--entity", "who", "--event-id", "id")
    written = shell.folder / "wx/pipeline.yaml"
    written.write_text(written.read_text().replace("policy: immediate", "policy: gated") + _SECTION)
    shell.begin("up", "wx")
    shell.freshet("pipeline", "features", "wx", "--csv", "before.csv", "--label", "y", "-o", "features.csv")
    first_model(shell.folder / "features.csv", shell.folder / "model.joblib")
    wait(lambda: "ready: publish events" in (shell.folder / "wx.log").read_text(), shell)
    shell.freshet("model", "pack", "model.joblib", "--pipeline", "wx", "--sample", "features.csv", "-o", "bundle")
    shell.freshet("model", "publish", "bundle")
    shell.freshet("model", "promote", "1.0.0", "--pipeline", "wx")
    replay = ("--label", "y", "--labels-after", "200", "--rate", "250")
    shell.freshet("replay", "all.csv", "--pipeline", "wx", *replay)
    wait(lambda: "1.1.0" in serving(shell), shell)
    shell.freshet("replay", "more.csv", "--pipeline", "wx", *replay)

    verdict = shell.freshet("verify", "--pipeline", "wx", "--wait", "60", "--scores", "200")
    assert not [line for line in verdict.splitlines() if line.lstrip().startswith("✗")]
    assert "figures of gates are those of the models' bytes" in verdict
    assert "–" not in "".join(line for line in verdict.splitlines() if "retraining" in line)
    alarms = shell.document("alarms", "list", "--pipeline", "wx")
    assert any(alarm["level"] == "detected" and alarm["cause"] == "world" for alarm in alarms)
    trainings = shell.document("trainings", "list", "--pipeline", "wx")
    (trained,) = [one for one in trainings if one["phase"] == "finished" and one["gate"] == "pass"][:1]
    assert trained["trigger"] == "alarm"
    assert trained["trigger_id"] in {alarm["id"] for alarm in alarms}
    explained = shell.freshet("explain", f"e{_ROWS + _MORE - 1}", "--pipeline", "wx")
    assert "version 1.1.0" in explained
    assert trained["training"] in explained
    assert trained["trigger_id"] in explained
