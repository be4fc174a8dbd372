"""`freshet trainings` and `freshet retrain`: what is printed, and the exit codes."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from typer.testing import CliRunner

from freshet.cli import main as entry
from freshet.cli import retrain as retrain_command
from freshet.cli import trainings as trainings_commands
from freshet.cli.model.ask import Asking
from freshet.cli.output import Exit
from freshet.contracts.messages import ModelVersion
from freshet.contracts.training_message import Training, is_dry_run
from freshet.operate.candidate_fate import Fate
from freshet.operate.notes import Note
from freshet.operate.training_runs import Run
from support.registry import candidate
from support.retraining import World

RUNNER = CliRunner()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Two trainings that finished."""
    world = World(rows=5000)
    world.apply("gate: [{metric: accuracy, not_worse_by: 0.01}]")
    world.serve()
    for name in ("c1", "c2"):
        world.ask(name)
        world.settle()
        world.rows += 1000
    found = [Run(record, 1, None) for record in world.records() if record.phase == "finished"]
    monkeypatch.setattr(trainings_commands, "_runs", lambda *_: found)
    return found


def printed(*words: str) -> str:
    """What `freshet trainings` prints."""
    done = RUNNER.invoke(entry.app, ["trainings", *words, "--pipeline", "fraud"], env={"COLUMNS": "240"})
    assert done.exit_code == Exit.OK, done.output
    return done.output


def test_trainings_are_listed_shown_and_compared(runs: list[Run]) -> None:
    """For a person; each clause of the gate is there."""
    one, other = (run.last.training[:8] for run in runs)
    assert one in printed("list")
    assert other in printed("list", "-n", "1")
    assert one not in printed("list", "-n", "1")
    assert "accuracy 0.9 may be worse than 0.8 of 1.0.0 by 0.01: pass" in printed("show", one)
    assert "end_row" in printed("compare", one, other)


def test_trainings_are_documents_for_programs(runs: list[Run]) -> None:
    """Everything that the record holds."""
    one, other = (run.last.training for run in runs)
    assert [each["training"] for each in json.loads(printed("list", "--json"))] == [one, other]
    assert json.loads(printed("show", one, "--json"))["metrics"] == {
        "candidate.accuracy": 0.9,
        "champion.accuracy": 0.8,
    }
    assert json.loads(printed("compare", one, other, "--json"))["trainings"] == [one, other]


def test_trainings_are_exported_a_row_each(runs: list[Run], tmp_path: Path) -> None:
    """As CSV, or as a JSON document a line; to standard output or a file."""
    rows = list(csv.DictReader(io.StringIO(printed("export"))))
    assert [row["training"] for row in rows] == [run.last.training for run in runs]
    assert rows[0]["metrics.candidate.accuracy"] == "0.9"
    lines = printed("export", "--format", "jsonl").splitlines()
    assert [json.loads(line)["training"] for line in lines] == [run.last.training for run in runs]
    printed("export", "-o", str(tmp_path / "runs.csv"))
    assert list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text()))) == rows


def test_notes_and_tags_are_shown_with_the_training(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """For a person and for a program; what is noted is sent to the registry with the whole id."""
    runs[0] = replace(runs[0], noted=(Note(1_000, "ann@host", "odd data #keep=yes"),))
    one = runs[0].last.training
    assert "keep=yes" in printed("show", one[:8])
    assert "ann@host: odd data #keep=yes" in printed("show", one[:8])
    assert json.loads(printed("show", one, "--json"))["tags"] == {"keep": "yes"}
    asked: list[Any] = []
    monkeypatch.setattr(Asking, "ask", lambda _, *words: asked.append(words))
    printed("note", one[:8], "looked at it", "--tag", "by=audit")
    assert asked == [("annotate", one, "looked at it #by=audit")]


@pytest.mark.parametrize(
    ("phase", "reason", "options", "code"),
    [
        ("finished", "Its model is live", (), Exit.OK),
        ("finished", "The registry refused its model: signature_revoked_key", (), Exit.CHECK),
        ("failed", "one class only.", (), Exit.FAILURE),
        ("skipped", "too few rows.", (), Exit.CONFLICT),
        ("skipped", "dry run: it would learn.", ("--dry-run",), Exit.OK),
        ("skipped", "too few rows.", ("--dry-run",), Exit.CONFLICT),
    ],
)
def test_exit_code_of_retrain_says_whether_there_is_a_model(
    *,
    phase: Literal["finished", "failed", "skipped"],
    reason: str,
    options: tuple[str, ...],
    code: Exit,
    runs: list[Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason is printed; a model that is refused is none."""
    asked: list[Any] = []
    state: Literal["refused", "admitted"] = "refused" if code is Exit.CHECK else "admitted"
    model = ModelVersion(
        pipeline="fraud", version="", state=state, reason=reason, manifest=candidate("trained").manifest
    )

    def answer(_: Any, command: Any, __: int) -> Training:
        asked.append(command)
        return runs[0].last.model_copy(update={"phase": phase, "reason": reason})

    monkeypatch.setattr(retrain_command, "connect", lambda *_: SimpleNamespace(say=str))
    monkeypatch.setattr(retrain_command, "published", lambda *_: None)
    monkeypatch.setattr(retrain_command, "retrained", answer)
    monkeypatch.setattr(retrain_command, "fate_of", lambda *_: Fate(model, live=state == "admitted", told=reason))
    done = RUNNER.invoke(entry.app, ["retrain", "--pipeline", "fraud", *options])
    assert done.exit_code == code, done.output
    assert reason in done.output
    assert is_dry_run(asked[0]) == bool(options)
