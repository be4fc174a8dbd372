"""Secrets of Kafka's client in files of their own: taken whole, refused in sentences, and never repeated."""

import json
from pathlib import Path

import pytest

from freshet.runtime.bus.kafka import config
from freshet.runtime.secret_files import _SECRET_OF, names_a_file, with_secrets
from freshet.runtime.settings import SettingsError, load_settings


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file as `kubectl create secret --from-file` and editors leave it: its line has an end."""
    file = tmp_path / "password"
    file.write_text("hunter2 \n")
    return file


@pytest.mark.parametrize("key", [*_SECRET_OF])
def test_the_content_of_a_file_is_the_secret(key: str, secret: Path) -> None:
    """Without the end of its line, but with every other character; what is no file of a secret stays as it is."""
    others = {"sasl.username": "ann", "sasl.oauthbearer.assertion.file": "/etc/assertion"}
    found = with_secrets({key: str(secret), **others})
    assert found == {key.removesuffix(".file"): "hunter2 ", **others}


@pytest.mark.parametrize("secret_key", [*_SECRET_OF.values()])
def test_the_client_knows_each_secret_and_no_setting_that_names_its_file(secret_key: str) -> None:
    """A key that the client has itself would be taken away from it."""
    for key, known in ((secret_key, True), (f"{secret_key}.file", False)):
        try:
            config.check({key: "x"})
            said = ""
        except SettingsError as refused:
            said = str(refused)
        assert ("No such configuration property" in said) is not known


def test_settings_hold_the_secret_and_the_environment_only_its_file(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is for every process, and so the doctor may show it."""
    given = {"sasl.username": "ann", "sasl.password.file": str(secret)}
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("FRESHET_KAFKA", json.dumps(given))
    settings = load_settings()
    assert settings.kafka == {"sasl.username": "ann", "sasl.password": "hunter2 "}
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter2\xff", "is no text in UTF-8"),
        (b"hunter2\0", "holds a zero byte"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(content: bytes | None, why: str, tmp_path: Path) -> None:
    """With its key and what is wrong with it, and without anything that stands in it."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load_settings("kafka:9092", kafka={"sasl.password.file": str(file)})
    said = str(refused.value)
    assert said.startswith(f"FRESHET_KAFKA: sasl.password.file names {file}, which ")
    assert said.endswith(f"{why}.")
    assert "hunter2" not in said


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    """As when Kubernetes mounts the whole secret where one file was meant."""
    with pytest.raises(SettingsError, match=f"names {tmp_path}, which cannot be read: Is a directory"):
        load_settings("kafka:9092", kafka={"ssl.key.pem.file": str(tmp_path)})


def test_each_file_that_cannot_be_used_is_told_at_once() -> None:
    """Whoever sets several up need not try once for each."""
    with pytest.raises(SettingsError) as refused:
        load_settings("kafka:9092", kafka={"sasl.password.file": "/no/1", "ssl.key.password.file": "/no/2"})
    assert {"/no/1,", "/no/2,"} <= {*str(refused.value).split()}


def test_a_secret_in_place_of_a_file_is_not_repeated() -> None:
    """Somebody writes the password where its file should be named: neither an error nor the doctor may show it."""
    with pytest.raises(SettingsError, match=r"sasl\.password\.file must name a file, by its whole path") as refused:
        load_settings("kafka:9092", kafka={"sasl.password.file": "hunter2"})
    assert "hunter2" not in str(refused.value)
    assert not names_a_file("sasl.password.file", "hunter2")


def test_a_secret_is_given_once(secret: Path) -> None:
    """Nobody has to know which of two would hold."""
    both = {"sasl.password": "hunter2", "sasl.password.file": str(secret)}
    with pytest.raises(SettingsError, match=r"sasl\.password\.file and sasl\.password are both set") as refused:
        load_settings("kafka:9092", kafka=both)
    assert "hunter2" not in str(refused.value)
