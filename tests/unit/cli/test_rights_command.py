"""`freshet rights show`, and as whom a command logs in to a secured broker of its folder."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from freshet.cli.output import Exit
from freshet.cli.rights_command import app
from freshet.operate.broker_record import ADMIN, Endpoint, login_file, record_of, save
from freshet.operate.connection import settings_for
from freshet.runtime.rights import PRINCIPALS, rights
from freshet.runtime.settings import SettingsError

HERE = "127.0.0.1:20001"


def show(*arguments: str) -> Result:
    """Run the command without any Kafka."""
    return CliRunner().invoke(app, ["show", *arguments], env={"FRESHET_NAMESPACE": None})


def test_it_prints_the_rights_of_all_or_of_one() -> None:
    """Those of the pipelines and the namespace that are named; a user may be called as people like."""
    every = json.loads(show("-p", "loans", "--json").stdout)
    assert [*every] == [f"freshet-{principal}" for principal in PRINCIPALS]
    one = json.loads(
        show("-p", "a", "-p", "b", "--principal", "drift", "--user", "drift=dora", "--namespace", "t.", "--json").stdout
    )
    assert [*one] == ["dora"]
    assert one["dora"] == json.loads(json.dumps([right._asdict() for right in rights("drift", "t.", ["a", "b"])]))
    assert "transactional id" in show("-p", "loans").stdout


@pytest.mark.parametrize("wrong", [("--principal", "nobody"), ("--user", "drift"), ("--user", "nobody=dora")])
def test_who_is_no_principal_is_refused(wrong: tuple[str, str]) -> None:
    """With those that there are."""
    refused = show("-p", "loans", *wrong)
    assert refused.exit_code == Exit.USAGE
    assert wrong[1].partition("=")[0] in refused.stderr


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, which is the current one, with the record of a secured broker."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "FRESHET_KAFKA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for principal in (ADMIN, "registry"):
        file = login_file(tmp_path, principal)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"sasl.username": principal}))
    save(record_of(tmp_path), Endpoint(kind="java", bootstrap_servers=HERE))
    return tmp_path


def test_a_command_logs_in_as_the_administrator_and_a_service_as_itself(
    secured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a variable names this folder's broker; never to another Kafka, and not against FRESHET_KAFKA."""
    assert settings_for(HERE).kafka == {"sasl.username": ADMIN}
    assert settings_for(HERE, "registry").kafka == {"sasl.username": "registry"}
    assert settings_for("elsewhere:9092").kafka == {}
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", HERE)
    assert settings_for(None).kafka == {"sasl.username": ADMIN}
    monkeypatch.setenv("FRESHET_KAFKA", '{"sasl.username": "me"}')
    assert settings_for(HERE, "registry").kafka == {"sasl.username": "me"}


def test_a_service_of_ones_own_is_told_that_it_has_no_user(secured: Path) -> None:
    """It must not run as the administrator."""
    with pytest.raises(SettingsError, match=r"fraud has no user.*FRESHET_KAFKA"):
        settings_for(HERE, "fraud")
