"""`freshet up` refuses, before it starts anything, what each of its services would refuse on its own."""

import socket
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from freshet.cli import up as command
from freshet.contracts.shipped import pipelines_dir
from freshet.lab import broker
from freshet.lab.up.refusals import refuse_keys, refuse_ports, refuse_taken
from freshet.lab.up.services import plan
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec
from freshet.runtime.service import load_service, slot_ids
from freshet.runtime.settings import Settings, SettingsError, load_settings
from freshet.runtime.slot import hold_slot
from support.labelled import spec_text
from support.signed import KeyRing

OPEN = PipelineSpec.parse(spec_text())
SIGNED = PipelineSpec.parse(spec_text() + "trust: required\n")


def _settings(**given: object) -> Settings:
    return load_settings("localhost:1", **given)


@pytest.fixture
def ring(tmp_path: Path) -> dict[str, Path]:
    """A trust file and the two private keys that it names."""
    return {
        "trust": KeyRing().save(tmp_path),
        "release_key": tmp_path / "release.pem",
        "builder_key": tmp_path / "builder.pem",
    }


def test_keys_that_can_be_used_pass(ring: dict[str, Path]) -> None:
    """And a pipeline that demands nothing needs none."""
    refuse_keys(_settings(), [OPEN], registry=True)
    refuse_keys(_settings(**ring), [OPEN, SIGNED], registry=True)
    refuse_keys(_settings(trust=ring["trust"]), [SIGNED], registry=False)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"trust": Path("absent.yaml")}, "FRESHET_TRUST: the trust file absent.yaml cannot be read"),
        ({"trust": None}, "FRESHET_TRUST: it is not set, and pipeline .* answers with signed models only"),
        ({"release_key": None}, "FRESHET_RELEASE_KEY: it is not set"),
        ({"release_key": Path("absent.pem")}, "FRESHET_RELEASE_KEY: the private key absent.pem cannot be read"),
        ({"builder_key": Path("absent.pem")}, "FRESHET_BUILDER_KEY: the private key absent.pem cannot be read"),
    ],
)
def test_keys_that_cannot_be_used_are_refused(ring: dict[str, Path], changed: dict[str, Path], told: str) -> None:
    """In the sentence of the service that would stumble over them."""
    with pytest.raises(SettingsError, match=told):
        refuse_keys(_settings(**{**ring, **changed}), [SIGNED], registry=True)


def test_a_release_key_that_the_trust_file_does_not_hold_is_refused(ring: dict[str, Path]) -> None:
    """Nobody would believe what it signs."""
    with pytest.raises(SettingsError, match="nobody would believe"):
        refuse_keys(_settings(**{**ring, "release_key": ring["builder_key"]}), [OPEN], registry=True)


def test_a_builder_key_that_the_trust_file_does_not_hold_is_refused(ring: dict[str, Path]) -> None:
    """Retraining would sign with it, and the registry refuse each model, hours later."""
    keys = _settings(**{**ring, "builder_key": ring["release_key"]})
    for specs in ([OPEN], [SIGNED]):
        with pytest.raises(SettingsError, match=r"FRESHET_BUILDER_KEY.*nobody would believe.*as a builder key"):
            refuse_keys(keys, specs, registry=True)
    refuse_keys(keys, [SIGNED], registry=False)


def test_a_slot_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    """Of the second worker only where a second worker is wanted."""
    settings, inference = _settings(state_dir=tmp_path), load_service("inference")
    (identity,) = slot_ids(inference, ["loans"], "", "1")
    held = hold_slot(tmp_path, identity, "1")
    assert held is not None
    with held:
        refuse_taken(settings, ["loans"], [inference, load_service("registry")], 1)
        with pytest.raises(OperateError, match="inference runs in this folder already"):
            refuse_taken(settings, ["loans"], [inference], 2)
    refuse_taken(settings, ["loans"], [inference], 2)


def test_a_port_that_is_in_use_is_refused() -> None:
    """With the service that it was for."""
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        planned = plan([load_service("inference")], ["loans"], 1, iter([port]))
        with pytest.raises(OperateError, match=f"port {port}, for the health and metrics of inference-0"):
            refuse_ports("127.0.0.1", planned)
    refuse_ports("127.0.0.1", planned)


def test_a_missing_trust_file_is_one_sentence_and_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the broker of the folder."""

    def started(*_: Any, **__: Any) -> None:
        raise AssertionError("the broker was started")

    monkeypatch.setattr(broker, "up", started)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRESHET_TRUST", "absent.yaml")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    app = typer.Typer()
    app.command()(command.up)
    done = CliRunner().invoke(app, [str(pipelines_dir() / "loans")])
    assert done.exit_code == 2
    (said,) = done.stderr.strip().splitlines()
    assert "the trust file absent.yaml cannot be read" in said
