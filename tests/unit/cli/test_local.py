"""`freshet local` deletes nothing that nobody agreed to, and says of each broker whether it runs."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.lab import broker
from freshet.lab.server_files import StateFolder
from freshet.operate.broker_record import Endpoint, Node, save, start_mark

STOPPED = broker.Status("stopped", Endpoint(kind="java", bootstrap_servers="127.0.0.1:20000"), False, 5_000_000)


@pytest.fixture
def wiped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """A folder with a stopped broker, and which folders were wiped."""
    folders: list[Path] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(broker, "status", lambda _, **__: STOPPED)
    monkeypatch.setattr(broker, "wipe", folders.append)
    return folders


def test_wipe_asks_first_and_a_no_deletes_nothing(wiped: list[Path]) -> None:
    """The question says how much would be lost; without a yes, and without anybody to ask, all stays."""
    refused = CliRunner().invoke(app, ["local", "wipe"], input="n\n")
    nobody = CliRunner().invoke(app, ["local", "wipe"], input="")
    assert (refused.exit_code, nobody.exit_code) == (1, 1)
    assert "Delete 5.0 MB" in refused.stderr
    assert wiped == []


@pytest.mark.parametrize(("arguments", "answer"), [(["--yes"], None), ([], "y\n")])
def test_wipe_does_it_once_it_was_agreed_to(wiped: list[Path], arguments: list[str], answer: str | None) -> None:
    """A yes to the question, or --yes for scripts."""
    found = CliRunner().invoke(app, ["local", "wipe", *arguments], input=answer)
    assert found.exit_code == 0
    assert wiped == [Path.cwd()]


@pytest.mark.parametrize(
    ("servers", "state", "data_bytes"),
    [("localhost:20000", "stopped", 3), ("127.0.0.1:20000", "stopped", 3), ("broker-1:9092", "external", 0)],
)
def test_the_variable_may_name_the_folders_own_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: str, state: str, data_bytes: int
) -> None:
    """Then its state and its data are told, as without the variable."""
    one = Endpoint(
        kind="java", bootstrap_servers="127.0.0.1:20000", nodes=(Node(client_port=20000, controller_port=1),)
    )
    monkeypatch.setattr(broker, "load", lambda _: one)
    monkeypatch.setattr(broker, "_disk_bytes", lambda _: 3)
    found = broker.status(tmp_path, environ={"KAFKA_BOOTSTRAP_SERVERS": servers})
    assert (found.state, found.data_bytes) == (state, data_bytes)


def test_wipe_asks_for_this_folders_data_whatever_kafka_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable names another Kafka; what would be deleted is here."""
    folders: list[Path] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(broker, "load", lambda _: STOPPED.endpoint)
    monkeypatch.setattr(broker, "wipe", folders.append)
    assert CliRunner().invoke(app, ["local", "wipe"], input="n\n").exit_code == 1
    assert folders == []


def test_an_empty_folder_has_no_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking changes nothing, and says how to begin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    found = CliRunner().invoke(app, ["local", "status", "--json"])
    assert json.loads(found.stdout)["state"] == "absent"
    assert "freshet local up" in CliRunner().invoke(app, ["local", "status"]).stdout
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three brokers: one runs, one crashed, one was stopped."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    runs = Node(client_port=1, controller_port=2, pid=os.getpid(), started=start_mark(os.getpid()))
    crashed = Node(client_port=3, controller_port=4, pid=os.getpid(), started="long ago")
    stopped = Node(client_port=5, controller_port=6)
    StateFolder.of(tmp_path).path.mkdir(parents=True)
    record = Endpoint(kind="java", bootstrap_servers="127.0.0.1:1,127.0.0.1:3", nodes=(runs, crashed, stopped))
    save(StateFolder.of(tmp_path).endpoint, record)
    return tmp_path


def test_each_of_three_brokers_is_told_apart(three: Path) -> None:
    """Kafka goes on without one of them, and what does not run can be started."""
    shown = CliRunner().invoke(app, ["local", "status"]).stdout
    for line in ("broker 1 on 127.0.0.1:1: running", "broker 2 on 127.0.0.1:3: crashed", "127.0.0.1:5: stopped"):
        assert line in shown
    assert "`freshet local up` starts those" in shown
    document = json.loads(CliRunner().invoke(app, ["local", "status", "--json"]).stdout)
    assert [each["state"] for each in document["brokers"]] == ["running", "crashed", "stopped"]
    assert document["state"] == "running"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["up", "--brokers", "1"], "was made of 3 brokers"),
        (["up", "--brokers", "2"], "--brokers is 1 or 3, not 2"),
        (["up", "--brokers", "3", "--secure"], "was made without --secure"),
        (["down", "--broker", "4"], "there is no broker 4"),
    ],
)
def test_what_three_brokers_cannot_be_asked_for(three: Path, arguments: list[str], why: str) -> None:
    """The number of brokers is chosen once; nothing is started or stopped."""
    before = StateFolder.of(three).endpoint.read_text()
    done = CliRunner().invoke(app, ["local", *arguments])
    assert (done.exit_code, why in done.stderr) == (1, True), done.stderr
    assert StateFolder.of(three).endpoint.read_text() == before


def test_a_broker_whose_port_is_taken_does_not_move_away_from_the_others(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They look for its controller where it was: it says what is in the way."""
    monkeypatch.setattr(broker, "port_is_free", lambda port: port != 4)
    done = CliRunner().invoke(app, ["local", "up"])
    assert (done.exit_code, "broker 2 cannot start: its port 3 or 4 is in use" in done.stderr) == (1, True), done.stderr


def test_brokers_of_a_users_own_kafka_are_not_ours_to_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option is about a Kafka that is started here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    done = CliRunner().invoke(app, ["local", "up", "--brokers", "3"])
    assert (done.exit_code, "--brokers is about a broker of this folder" in done.stderr) == (1, True), done.stderr
