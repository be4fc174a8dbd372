"""What a broker is started from."""

import re
from pathlib import Path

import pytest

from freshet.lab.server_files import Launch, StateFolder, cluster_id


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """A first start under an empty root."""
    return Launch(StateFolder.of(tmp_path), client_port=20001, controller_port=20002, new_cluster="A" * 22)


@pytest.mark.parametrize("first", [0xF8, 0xFB, 0x00])
def test_a_cluster_id_is_never_taken_for_an_option(first: int) -> None:
    """22 characters, of which the first is no dash, whatever the random bytes are."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", cluster_id(bytes([first] * 16)))


def test_only_a_new_data_folder_is_formatted(launch: Launch) -> None:
    """Formatting costs the start of a JVM, and data that exist are never touched by it."""
    assert launch.script("java", "lib/*").count("StorageTool") == 1

    launch.write_settings()
    (launch.state.data / "meta.properties").touch()

    assert "StorageTool" not in launch.script("java", "lib/*")


def test_paths_with_spaces_and_quotes_survive_the_shell(tmp_path: Path) -> None:
    """A root such as `My Project` must not fall apart into two arguments."""
    state = StateFolder.of(tmp_path / "it's mine")
    script = Launch(state, client_port=1, controller_port=2, new_cluster="A" * 22).script("java", "a b.jar")

    assert "'a b.jar'" in script
    assert "it's mine/.local" not in script


def test_nothing_listens_beyond_this_machine(launch: Launch) -> None:
    """The broker has no password, so it binds loopback only."""
    launch.write_settings()
    listeners = re.search(r"^listeners=(.*)$", launch.state.properties.read_text(), re.MULTILINE)

    assert listeners is not None
    assert listeners[1] == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"
