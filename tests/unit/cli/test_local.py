"""`freshet local` deletes nothing that nobody agreed to."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.lab import broker
from freshet.operate.broker_record import Endpoint

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
    monkeypatch.setattr(broker, "load", lambda _: Endpoint(kind="java", bootstrap_servers="127.0.0.1:20000"))
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
