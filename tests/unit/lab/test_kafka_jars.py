"""The jars and their lock."""

import re
from pathlib import Path

import pytest

from freshet.lab import kafka_jars
from freshet.lab.java import Java
from freshet.operate.operate_error import LocalError
from support.programs import put_program

JAVA = Java(Path("/usr/bin/java"), "17.0.15", 17)


def test_the_lock_names_files_and_hashes_and_no_address() -> None:
    """The lock pins content only: where jars come from is decided by the user's Maven."""
    lock = kafka_jars.read_lock()

    assert f"kafka_2.13-{kafka_jars.KAFKA}.jar" in lock
    assert all(re.fullmatch(r"[\w.-]+\.jar", name) for name in lock)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in lock.values())


def test_a_changed_or_missing_jar_is_a_fault_and_a_stray_one_is_not(tmp_path: Path) -> None:
    """What would be loaded is checked by content; what the class path leaves out cannot matter."""
    (tmp_path / "good.jar").write_bytes(b"")
    (tmp_path / "changed.jar").write_bytes(b"other")
    (tmp_path / "stray.jar").write_bytes(b"")
    of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    faults = kafka_jars.faults(tmp_path, dict.fromkeys(["good.jar", "changed.jar", "missing.jar"], of_nothing))

    assert [fault.split()[0] for fault in faults] == ["changed.jar", "missing.jar"]


def test_jars_that_differ_from_the_lock_are_refused_and_not_kept(tmp_path: Path) -> None:
    """A mirror that serves something else must not get its jars onto a class path, now or at the next call."""
    serve_all_names = "\n".join(f'echo bad > "$out/{name}"' for name in kafka_jars.read_lock())
    find_folder = 'for a in "$@"; do case $a in -DoutputDirectory=*) out=${a#*=};; esac; done; mkdir -p "$out"'
    put_program(tmp_path / "bin", "mvn", f"{find_folder}\n{serve_all_names}")
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}

    with pytest.raises(LocalError, match="not Kafka"):
        kafka_jars.ensure(environ, JAVA, say=lambda _: None)

    assert not kafka_jars.present(environ)
    assert not list(tmp_path.rglob("*.jar"))


def test_a_failing_maven_is_quoted(tmp_path: Path) -> None:
    """Without the network, the user reads Maven's own reason, not a traceback of ours."""
    put_program(tmp_path / "bin", "mvn", "echo '[ERROR] no route to the mirror'; exit 1")
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}

    with pytest.raises(LocalError, match="no route to the mirror"):
        kafka_jars.ensure(environ, JAVA, say=lambda _: None)
