"""What a newcomer's first mistakes are answered with: what is wrong, in plain words, and what to do."""

import os
from pathlib import Path
from unittest.mock import Mock

import pytest
import typer
from typer.testing import CliRunner, Result

from freshet.cli import local
from freshet.cli.main import app
from freshet.contracts.errors import ContractError
from freshet.lab import broker
from freshet.lab.server_files import StateFolder
from freshet.operate import checkup, connection
from freshet.operate.broker_record import Endpoint, Node, save, start_mark
from freshet.operate.checkup import cluster
from freshet.operate.facts import not_there, published
from freshet.runtime.bus.kafka.releases import Verdict
from freshet.runtime.topic_plan import Step
from support.buses import MemoryWorld


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


@pytest.mark.parametrize("command", ["publish", "check", "sign"])
def test_a_folder_that_holds_no_model_is_wrong_usage(command: str, tmp_path: Path) -> None:
    """As any other file that is not there; the sentence says which command writes one."""
    (tmp_path / "none").mkdir()
    for named in ("absent", str(tmp_path / "none")):
        done = freshet("model", command, named, *(("--key", "k.pem") if command == "sign" else ()))
        assert (done.exit_code, "`freshet model pack` writes one" in done.stderr) == (2, True), done.stderr


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


def broker_here(folder: Path, monkeypatch: pytest.MonkeyPatch, *, alive: bool) -> None:
    """A record of a broker on a port where nobody answers; its process runs, or has ended."""
    StateFolder.of(folder).path.mkdir(parents=True)
    pid, started = (os.getpid(), start_mark(os.getpid())) if alive else (None, None)
    node = Node(client_port=1, controller_port=2, pid=pid, started=started)
    known = Endpoint(kind="java", bootstrap_servers="127.0.0.1:1", nodes=(node,))
    save(StateFolder.of(folder).endpoint, known)
    monkeypatch.setattr(connection, "_TIMEOUT_S", 0.2)


def test_no_broker_here_names_the_folder(tmp_path: Path) -> None:
    """Somebody in the wrong folder sees which one that is."""
    done = freshet("model", "list")
    assert (done.exit_code, f"this folder, {tmp_path}, has no local broker" in done.stderr) == (3, True), done.stderr


def test_a_broker_that_was_stopped_is_named_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to do if another was meant."""
    broker_here(tmp_path, monkeypatch, alive=False)
    done = freshet("model", "list")
    assert (done.exit_code, f"broker of this folder, {tmp_path}, is not running." in done.stderr) == (3, True)
    assert "`freshet local up`; if you mean another Kafka, go to the folder" in done.stderr


def test_a_broker_that_does_not_answer_is_named_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs, or somebody else has its port; a Kafka that was named is no folder's."""
    broker_here(tmp_path, monkeypatch, alive=True)
    done = freshet("model", "list")
    assert done.exit_code == 3, done.stderr
    assert f"It is 127.0.0.1:1, the local broker of {tmp_path}: `freshet local down` and" in done.stderr
    other = freshet("model", "list", "--bootstrap", "127.0.0.1:2")
    assert (other.exit_code, "local broker" in other.stderr) == (3, False), other.stderr


def test_a_pipeline_of_another_folders_broker_is_told_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which Kafka was asked, by its folder if it is a local one, which pipelines it has, and what to do."""
    broker_here(tmp_path, monkeypatch, alive=True)
    empty = MemoryWorld()
    empty.make_topics("pipelines")
    asked = Mock(bootstrap_servers="127.0.0.1:1", namespace="dev.", bus=lambda: empty.bus)
    with pytest.raises(ContractError) as told:
        published(asked, "weather")
    assert str(told.value) == (
        f"no pipeline 'weather' is on the Kafka at 127.0.0.1:1, the local broker of {tmp_path}, under the prefix "
        "'dev.' (none was ever applied there). Publish it with `freshet apply -f FOLDER`; or ask where it is: another "
        "folder's broker, another Kafka, another --namespace."
    )
    assert "on the Kafka at k:9092 (known are a, b)." in not_there("weather", ["b", "a"], "k:9092", "")


def test_an_empty_kafka_is_one_line_and_not_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was applied yet: that is no illness."""
    monkeypatch.setattr(checkup, "cluster_verdict", lambda *_: Verdict({}, frozenset()))
    monkeypatch.setattr(checkup, "readable_pipeline_records", lambda _: [])
    monkeypatch.setattr(checkup, "all_pipeline_records", lambda _: [])
    monkeypatch.setattr(checkup, "plan", lambda *_: [Mock(action="create")] * 10)
    for about in ("schemas", "services", "open transactions"):
        monkeypatch.delitem(checkup._CHECKS, about)
    lines = list(cluster(Mock(bootstrap_servers="k:9092", client={}), deep=False))
    assert [line.about for line in lines if line.health == "bad"] == []
    assert [(line.seen, line.do) for line in lines if line.about == "topics"] == [
        ("there are none yet: nothing was ever applied here", "freshet apply -f FOLDER")
    ]


def test_topics_that_lack_what_is_only_wished_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a managed service it is so for good: a line for each topic would hide all else."""
    steps = [Step("lacks", f"t{number}", 1, {"max.compaction.lag.ms": "1"}, "was 2") for number in range(14)]
    monkeypatch.setattr(checkup, "plan", lambda *_: [*steps, Step("ok", "t", 1, {}, "")])
    (line,) = checkup._topics(Mock(), {})
    assert (line.about, line.health) == ("topics", "warn")
    assert line.seen.startswith("14 topics, such as t0, are without max.compaction.lag.ms=1, which")
    assert "--adopt" in line.do


@pytest.mark.parametrize(("answer", "code"), [("n", 1), (EOFError, 1), (KeyboardInterrupt, 130)])
def test_a_deletion_that_is_declined_is_no_bug(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str | type[BaseException],
    code: int,
) -> None:
    """Whether by no, by the end of the input, or by Ctrl-C."""
    wipe = Mock()
    monkeypatch.setattr(broker, "status", lambda *_, **__: Mock(state="stopped", data_bytes=1.0))
    monkeypatch.setattr(broker, "wipe", wipe)
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", Mock(side_effect=[answer]))
    with pytest.raises(typer.Exit) as ended:
        local.wipe()
    assert (ended.value.exit_code, "nothing was deleted" in capsys.readouterr().err) == (code, True)
    wipe.assert_not_called()
