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


def test_three_brokers_keep_each_record_and_acknowledge_with_two(tmp_path: Path) -> None:
    """Also the offsets of groups and the transactions; each has a folder of its own and knows all controllers."""
    state = StateFolder.of(tmp_path, node=2)
    launch = Launch(state, client_port=20003, controller_port=20004, new_cluster="A" * 22, quorum=(20002, 20004, 20006))
    launch.write_settings()
    lines = state.properties.read_text().splitlines()

    assert state.own == StateFolder.of(tmp_path).path / "broker-2"
    assert "node.id=2" in lines
    assert "controller.quorum.voters=1@127.0.0.1:20002,2@127.0.0.1:20004,3@127.0.0.1:20006" in lines
    factors = {line for line in lines if "replication.factor=" in line}
    assert {line.partition("=")[2] for line in factors} == {"3"}
    assert {"default.replication.factor=3", "offsets.topic.replication.factor=3"} <= factors
    assert "transaction.state.log.replication.factor=3" in factors
    assert {"min.insync.replicas=2", "transaction.state.log.min.isr=2"} <= {*lines}
    assert "--standalone" not in launch.script("java", "lib/*")


def test_a_single_broker_replicates_nothing(launch: Launch) -> None:
    """It is its own quorum, whatever ports it moves to."""
    launch.write_settings()
    lines = launch.state.properties.read_text().splitlines()

    assert "controller.quorum.bootstrap.servers=127.0.0.1:20002" in lines
    assert {"default.replication.factor=1", "min.insync.replicas=1"} <= {*lines}
    assert "--standalone" in launch.script("java", "lib/*")


def test_a_new_broker_is_formatted_for_the_cluster_of_the_others(launch: Launch) -> None:
    """Which one that is stands in the data of any of them."""
    assert launch.state.cluster is None
    launch.write_settings()
    (launch.state.data / "meta.properties").write_text("#\nversion=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\nnode.id=1\n")
    assert launch.state.cluster == "MkU3OEVBNTcwNTJENDM2Qk"
