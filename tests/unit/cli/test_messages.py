"""What a newcomer's first mistakes are answered with: what is wrong, in plain words, and what to do."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import typer
from typer.testing import CliRunner, Result

from freshet.cli import local
from freshet.cli.main import app
from freshet.lab import broker
from freshet.lab.server_files import StateFolder
from freshet.operate import checkup
from freshet.operate.broker_record import Endpoint, save
from freshet.operate.checkup import cluster
from freshet.runtime.bus.kafka.releases import Verdict


def freshet(*arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, arguments)


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working folder, and no Kafka anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)


@pytest.mark.parametrize(
    "command",
    [
        ("pipeline", "new", "p", "--csv", "none.csv", "--label", "y"),
        ("stream", "none.csv", "--label", "y"),
        ("model", "pack", "none.csv", "--pipeline", "p", "--sample", "s.csv", "-o", "b"),
    ],
)
def test_a_file_that_is_not_there_is_wrong_usage(command: tuple[str, ...]) -> None:
    """The same sentence and exit code wherever a file is named."""
    done = freshet(*command)
    assert (done.exit_code, "there is no file none.csv." in done.stderr) == (2, True), done.stderr


def test_a_folder_that_is_no_pipeline_says_what_one_is() -> None:
    """And which command writes one."""
    done = freshet("pipeline", "check", "none")
    assert "none/pipeline.yaml: is not there. `freshet pipeline new` writes a folder" in done.stdout
    assert "`freshet model pack` writes one" in freshet("model", "publish", "none").stderr


def test_a_file_where_a_folder_belongs_is_no_bug(tmp_path: Path) -> None:
    """`.local` may be anything."""
    (tmp_path / ".local").touch()
    done = freshet("local", "up")
    assert (done.exit_code, ".local is a file" in done.stderr) == (1, True), done.stderr


def test_a_broker_of_a_folder_above_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local broker is that of one folder, and commands in another one do not reach it."""
    StateFolder.of(tmp_path).path.mkdir(parents=True)
    save(StateFolder.of(tmp_path).endpoint, Endpoint(kind="java", bootstrap_servers="127.0.0.1:1"))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    done = freshet("model", "list")
    assert (done.exit_code, f"or go to {tmp_path.resolve()}, which has one" in done.stderr) == (3, True), done.stderr


def test_an_empty_kafka_is_one_line_and_not_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was applied yet: that is no illness."""
    monkeypatch.setattr(checkup, "cluster_verdict", lambda *_: Verdict({}, frozenset()))
    monkeypatch.setattr(checkup, "pipeline_records", lambda _: {})
    monkeypatch.setattr(checkup, "plan", lambda *_: [Mock(action="create")] * 10)
    for about in ("schemas", "services", "open transactions"):
        monkeypatch.delitem(checkup._CHECKS, about)
    connection = Mock(bootstrap_servers="k:9092", client={})
    lines = list(cluster(connection, deep=False))
    assert [line.about for line in lines if line.health == "bad"] == []
    assert [(line.seen, line.do) for line in lines if line.about == "topics"] == [
        ("there are none yet: nothing was ever applied here", "freshet apply -f FOLDER")
    ]


@pytest.mark.parametrize(("answer", "code"), [("n", 1), (EOFError, 1), (KeyboardInterrupt, 130)])
def test_a_deletion_that_is_declined_is_no_bug(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str | type[BaseException],
    code: int,
) -> None:
    """Whether by no, by the end of the input, or by Ctrl-C."""
    wipe = Mock()
    monkeypatch.setattr(broker, "status", lambda _: Mock(state="stopped", data_bytes=1.0))
    monkeypatch.setattr(broker, "wipe", wipe)
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", Mock(side_effect=[answer]))
    with pytest.raises(typer.Exit) as ended:
        local.wipe()
    assert (ended.value.exit_code, "nothing was deleted" in capsys.readouterr().err) == (code, True)
    wipe.assert_not_called()
