"""Keys, passwords and logins of a secured broker, without a broker: what is written, for whom, and what stays."""

import json
import stat
from pathlib import Path

import pytest

from freshet.lab.credentials import Credentials, write_private
from freshet.lab.logins import Logins
from freshet.lab.server_files import Launch, StateFolder
from freshet.operate.broker_record import ADMIN, Endpoint, login_file
from freshet.operate.operate_error import LocalError
from freshet.runtime.rights import PRINCIPALS

SERVERS = "127.0.0.1:1"


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """A Java whose keytool notes how it was called, and prints a certificate."""
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "keytool"
    tool.write_text(f'#!/bin/sh\necho "$FRESHET_STORE_PASSWORD: $@" >> {tmp_path}/calls\necho CERTIFICATE\n')
    tool.chmod(0o700)
    return tool.with_name("java")


def made(root: Path, java: Path) -> Credentials:
    """All credentials of this root."""
    credentials = Credentials(root)
    credentials.make(java)
    return credentials


def test_only_the_owner_reads_what_was_made(tmp_path: Path, java: Path) -> None:
    """Files 0600 in folders 0700; keytool is told the password where `ps` does not show it."""
    credentials = made(tmp_path, java)
    for path in (credentials.folder, *credentials.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    password = credentials.store_password()
    for call in (tmp_path / "calls").read_text().splitlines():
        told, _, arguments = call.partition(": ")
        assert told == password
        assert password not in arguments


def test_a_second_start_keeps_what_is_there(tmp_path: Path, java: Path) -> None:
    """Each principal has a password of its own, and keeps it; the certificate stays, too."""
    before = made(tmp_path, java).passwords()
    login_file(tmp_path, "registry").unlink()  # as if it were new
    after = made(tmp_path, java).passwords()
    assert len({*before.values()}) == len(PRINCIPALS) + 1
    assert {user for user in before if before[user] != after[user]} == {"freshet-registry"}
    assert len((tmp_path / "calls").read_text().splitlines()) == 2  # a key and its certificate, once


def test_what_was_interrupted_is_made_anew(tmp_path: Path, java: Path) -> None:
    """Without the certificate, which comes last, the key store may be half written."""
    credentials = made(tmp_path, java)
    credentials.certificate.unlink()
    assert not credentials.made
    assert made(tmp_path, java).made


def test_logins_follow_a_folder_that_was_moved(tmp_path: Path, java: Path) -> None:
    """The certificate's path is in each of them."""
    first = tmp_path / "first"
    before = made(first, java).passwords()
    second = first.rename(tmp_path / "second")
    credentials = made(second, java)
    assert credentials.passwords() == before
    assert credentials.login("drift")["ssl.ca.location"] == str(credentials.certificate)


def test_a_principal_that_is_none_has_no_login(tmp_path: Path, java: Path) -> None:
    """The sentence names those that have one."""
    with pytest.raises(LocalError, match=r"nobody has no login.*ingestion, inference"):
        made(tmp_path, java).login("nobody")


def test_a_java_without_keytool_is_said(tmp_path: Path) -> None:
    """In one sentence, and nothing half made is taken for whole."""
    with pytest.raises(LocalError, match="certificate could not be made"):
        made(tmp_path, tmp_path / "bin" / "java")
    assert not Credentials(tmp_path).made


def test_a_private_file_is_so_from_its_first_byte(tmp_path: Path) -> None:
    """Whatever was there before, under whatever mode."""
    path = tmp_path / "file"
    path.write_text("public")
    write_private(path, "secret")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("secret", 0o600)


def test_everybody_logs_in_as_freshet_kafka_says_on_a_kafka_of_the_users(
    tmp_path: Path, java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On ours each principal has a login of its own, and on one that asks for none nobody has any."""
    ours = Endpoint(kind="java", bootstrap_servers=SERVERS)
    assert Logins.at(tmp_path, ours).login("drift") == {}
    made(tmp_path, java)
    assert Logins.at(tmp_path, ours).login("drift")["sasl.username"] == "freshet-drift"
    monkeypatch.setenv("FRESHET_KAFKA", json.dumps({"security.protocol": "SSL"}))
    theirs = Logins.at(tmp_path, Endpoint(kind="external", bootstrap_servers=SERVERS))
    assert theirs.login("drift") == theirs.login(ADMIN) == {"security.protocol": "SSL"}


def test_a_secured_broker_trusts_nobody_who_has_no_password_or_key(tmp_path: Path, java: Path) -> None:
    """Clients by TLS and password, its own controller by its certificate; no password is in its command."""
    credentials = made(tmp_path, java)
    launch = Launch(StateFolder.of(tmp_path), 20001, 20002, "A" * 22, credentials)
    launch.write_settings()
    settings = launch.state.properties.read_text()
    assert stat.S_IMODE(launch.state.properties.stat().st_mode) == 0o600
    assert "listeners=SASL_SSL://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002\n" in settings
    assert "map=SASL_SSL:SASL_SSL,CONTROLLER:SSL\n" in settings
    assert "PLAINTEXT" not in settings
    assert "ANONYMOUS" not in settings
    assert "listener.name.controller.ssl.client.auth=required\n" in settings
    script = launch.script("java", "lib/*")
    assert not any(password in script for password in (*credentials.passwords().values(), credentials.store_password()))
