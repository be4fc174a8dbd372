"""`freshet pipeline check|new`, which need no Kafka, and how commands end."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from freshet.cli import pipeline, topics
from freshet.cli.output import Exit
from freshet.contracts.shipped import pipelines_dir
from freshet.pipeline import check, load_folder

TABLE = "card,amount,country,fraud\n" + "".join(
    f"c{n % 3},{n}.5,{'DE' if n % 2 else 'FR'},{n % 2}\n" for n in range(40)
)


def freshet(*arguments: str | Path, **environment: str) -> Result:
    """Run a command without any Kafka in the environment."""
    app = typer.Typer()
    app.add_typer(pipeline.app, name="pipeline")
    app.add_typer(topics.app, name="topics")
    unset = dict.fromkeys(("KAFKA_BOOTSTRAP_SERVERS", "FRESHET_NAMESPACE", "FRESHET_KAFKA"))
    return CliRunner().invoke(app, list(map(str, arguments)), env={**unset, **environment})


def test_a_good_folder_passes_and_a_bad_one_exits_with_4(tmp_path: Path) -> None:
    """Each problem is one line with file, line and sentence; with --json the same as a document."""
    folder = Path(shutil.copytree(pipelines_dir() / "loans", tmp_path / "loans"))
    assert freshet("pipeline", "check", folder).exit_code == Exit.OK
    text = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(
        text.replace("of: hyears", "of: hyeers").replace("entity: applicant", "entity: nobody")
    )
    found = freshet("pipeline", "check", folder)
    assert found.exit_code == Exit.CHECK
    lines = found.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{folder}/pipeline.yaml:") for line in lines)
    document = json.loads(freshet("pipeline", "check", folder, "--json").stdout)
    assert [f"{problem['file']}:{problem['line']}: {problem['message']}" for problem in document] == lines


def test_a_missing_folder_is_a_problem_not_a_traceback(tmp_path: Path) -> None:
    """A path that holds no pipeline is told as one problem."""
    found = freshet("pipeline", "check", tmp_path / "none")
    assert found.exit_code == Exit.CHECK
    assert "is not there" in found.stdout
    assert isinstance(found.exception, SystemExit)


@pytest.mark.parametrize("from_table", [False, True])
def test_a_new_pipeline_passes_its_own_check(tmp_path: Path, from_table: bool) -> None:
    """What `new` writes, as an example or from a table, can be applied as it is; and nothing is overwritten."""
    (tmp_path / "t.csv").write_text(TABLE)
    options = ["--csv", str(tmp_path / "t.csv"), "--label", "fraud", "--entity", "card"] if from_table else []
    folder = tmp_path / "cards"
    made = freshet("pipeline", "new", "cards", *options, "--dir", folder)
    assert made.exit_code == Exit.OK, made.stderr
    spec, _, event_schema = load_folder(folder)
    assert check(spec, event_schema) == []
    assert spec.pipeline == "cards"
    assert not from_table or spec.target.classes == ("0", "1")
    (folder / "pipeline.yaml").write_text("mine")
    again = freshet("pipeline", "new", "cards", "--dir", folder)
    assert again.exit_code == Exit.CONFLICT
    assert (folder / "pipeline.yaml").read_text() == "mine"


def test_a_table_needs_a_label(tmp_path: Path) -> None:
    """Without the column to predict nothing is guessed; a column that is not there is named."""
    (tmp_path / "t.csv").write_text(TABLE)
    assert freshet("pipeline", "new", "x", "--csv", tmp_path / "t.csv", "--dir", tmp_path / "x").exit_code == Exit.USAGE
    wrong = freshet("pipeline", "new", "x", "--csv", tmp_path / "t.csv", "--label", "fraude", "--dir", tmp_path / "x")
    assert wrong.exit_code == Exit.USAGE
    assert "fraude" in wrong.stderr
    assert not (tmp_path / "x").exists()


def test_features_to_train_on_are_those_that_models_will_see(tmp_path: Path) -> None:
    """To the bit, under their names, with the label beside them; a missing value is empty, an infinite row left out."""
    table = tmp_path / "t.csv"
    table.write_text("amount,country,fraud\n0.1,DE,0\n,FR,1\n1e300,DE,0\n7,,1\n")
    folder, out = tmp_path / "cards", tmp_path / "features.csv"
    assert freshet("pipeline", "new", "cards", "--csv", table, "--label", "fraud", "--dir", folder).exit_code == 0
    done = freshet("pipeline", "features", folder, "--csv", table, "--label", "fraud", "-o", out, "--json")
    assert done.exit_code == Exit.OK, done.stderr
    assert json.loads(done.stdout)["left_out"] == 1
    assert out.read_text().splitlines() == [
        "amount,country=DE,country=FR,country=other,fraud",
        "0.10000000149011612,1.0,0.0,0.0,0",
        ",0.0,1.0,0.0,1",
        "7.0,0.0,0.0,0.0,1",
    ]


def test_without_a_kafka_the_error_says_how_to_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder without a local broker, with nothing in the environment, a command says both ways out."""
    monkeypatch.chdir(tmp_path)
    ended = freshet("topics", "plan")
    assert ended.exit_code == Exit.UNREACHABLE
    assert "--bootstrap" in ended.stderr
    assert "freshet local up" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        pytest.param({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, Exit.UNREACHABLE, "did not answer", id="unreachable"),
        pytest.param({"FRESHET_NAMESPACE": "dev"}, Exit.USAGE, "write 'dev.'", id="namespace without its end"),
        pytest.param({"FRESHET_NAMESPACE": "a b"}, Exit.USAGE, "namespace 'a b'", id="namespace"),
        pytest.param({"FRESHET_KAFKA": "{"}, Exit.USAGE, "FRESHET_", id="settings"),
    ],
)
def test_errors_have_their_codes(environment: dict[str, str], code: Exit, said: str) -> None:
    """Nobody at the address, a namespace that Kafka refuses, broken settings: a sentence and a stable code."""
    ended = freshet("topics", "plan", **{"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", **environment})
    assert ended.exit_code == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_features_are_written_over_features_only(tmp_path: Path) -> None:
    """Whoever mistakes -o for the table keeps the table."""
    path, out = tmp_path / "t.csv", tmp_path / "f.csv"
    path.write_text(TABLE)
    assert freshet("pipeline", "new", "x", "--csv", path, "--label", "fraud", "--dir", tmp_path / "x").exit_code == 0
    features = ("pipeline", "features", tmp_path / "x", "--csv", path, "--label", "fraud", "-o")
    refused = freshet(*features, path)
    assert refused.exit_code == Exit.CONFLICT
    assert "exists already, and holds something else than features of 'x'" in refused.stderr
    assert path.read_text() == TABLE
    assert [freshet(*features, out).exit_code, freshet(*features, out).exit_code] == [Exit.OK, Exit.OK]
    out.write_text("mine\n")
    assert [freshet(*features, out).exit_code, freshet(*features, out, "--force").exit_code] == [Exit.CONFLICT, Exit.OK]
    assert freshet(*features, tmp_path).exit_code == Exit.USAGE
