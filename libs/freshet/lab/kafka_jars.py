"""Kafka's jars: fetched once per machine through Maven, held to the hashes in `kafka-jars.lock.json`."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from freshet.lab.java import Java, installed
from freshet.lab.processes import exclusive
from freshet.operate.operate_error import LocalError

KAFKA: Final = "4.2.1"
POM: Final = Path(__file__).with_name("kafka-pom.xml")
LOCK: Final = Path(__file__).with_name("kafka-jars.lock.json")

_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_FETCH_TIMEOUT_S: Final = 900


def _cache_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's jars live, shared by all clones: `$XDG_CACHE_HOME/freshet/kafka-4.2.1`."""
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "freshet", f"kafka-{KAFKA}")


def ensure(environ: Mapping[str, str], java: Java, *, say: Callable[[str], None]) -> list[Path]:
    """The broker's class path, sorted; fetches the jars if they are missing or are not what the lock says.

    Every call checks all hashes (44 MB, 0.05 s), and any number of processes may call at once: one fetches.
    Raises LocalError if Maven is missing or fails, or if what it fetched differs from the lock.
    """
    lock = read_lock()
    folder = library(environ)
    with exclusive(folder.with_name("install.lock")):
        found = faults(folder, lock)
        if found:
            if folder.exists():
                say(f"the cached jars in {folder} are damaged ({found[0]}); fetching them again")
                shutil.rmtree(folder)
            _fetch(folder, lock, environ, java, say=say)
    return [folder / name for name in sorted(lock)]


def library(environ: Mapping[str, str]) -> Path:
    """The folder of jars; what is derived from them lies there too, and goes when they are replaced."""
    return _cache_folder(environ) / "lib"


def present(environ: Mapping[str, str]) -> bool:
    """Whether `ensure` needs no Maven."""
    return not faults(library(environ), read_lock())


def faults(folder: Path, lock: Mapping[str, str]) -> list[str]:
    """What differs between a folder of jars and the lock, one sentence each; empty means fit to run.

    A jar that the lock does not name is no fault: the class path is made from the lock, so it is never loaded.
    """
    out = []
    for name, expected in sorted(lock.items()):
        if not (folder / name).is_file():
            out.append(f"{name} is missing")
        elif _sha256(folder / name) != expected:
            out.append(f"{name} does not have the sha256 in {LOCK.name}")
    return out


def read_lock() -> dict[str, str]:
    """Jar file name → sha256 in hex. Names no download address: where jars come from is Maven's business."""
    lock: dict[str, str] = json.loads(LOCK.read_text())
    return lock


def maven(environ: Mapping[str, str]) -> str | None:
    """The `mvn` command, if there is one."""
    return shutil.which("mvn", path=environ.get("PATH"))


def _copy_with_maven(folder: Path, environ: Mapping[str, str], java: Java) -> None:
    """Resolve `kafka-pom.xml` and copy its jars into `folder`. Raises LocalError with Maven's last words."""
    mvn = maven(environ)
    if mvn is None:
        raise LocalError("Kafka's jars come through Maven, and no `mvn` is on the search path. Install Maven.")
    # -q -B: no progress bars in logs. includeScope: what runs, not what Kafka's own tests need.
    command = [mvn, "-q", "-B", "-f", str(POM), "-DincludeScope=runtime", f"-DoutputDirectory={folder}", _COPY]
    try:
        done = subprocess.run(
            command,
            env={**environ, "JAVA_HOME": str(java.home)},
            capture_output=True,
            text=True,
            timeout=_FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as too_long:
        raise LocalError(
            f"Maven has not fetched Kafka's jars within {_FETCH_TIMEOUT_S} s. Check the network, and the mirror or "
            "proxy in Maven's settings.xml; calling again goes on where it stopped."
        ) from too_long
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise LocalError(
            f"Maven could not fetch Kafka {KAFKA} (exit {done.returncode}). Check the network, and the mirror or "
            f"proxy in Maven's settings.xml, then call again. Maven's last words:\n{last}"
        )


def relock(environ: Mapping[str, str], java: Java) -> None:
    """Fetch what `kafka-pom.xml` now says and write its hashes to the lock; for whoever changes the POM."""
    with tempfile.TemporaryDirectory() as scratch:
        _copy_with_maven(Path(scratch), environ, java)
        lock = {jar.name: _sha256(jar) for jar in sorted(Path(scratch).glob("*.jar"))}
    LOCK.write_text(json.dumps(lock, indent=2) + "\n")


def _fetch(
    folder: Path, lock: Mapping[str, str], environ: Mapping[str, str], java: Java, *, say: Callable[[str], None]
) -> None:
    say(f"fetching Kafka {KAFKA} ({len(lock)} jars, 44 MB) with Maven, once per machine")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="incoming-") as scratch:
        incoming = Path(scratch, "lib")
        _copy_with_maven(incoming, environ, java)
        if found := faults(incoming, lock):
            raise LocalError(
                f"what Maven fetched is not Kafka {KAFKA} as {LOCK.name} knows it: {'; '.join(found[:3])}. A copy in "
                "Maven's own repository may be damaged: delete `org/apache/kafka` there and call again. If it "
                "stays, do not run these jars: the mirror they come from serves something else."
            )
        incoming.replace(folder)  # whole or not at all, so that an interrupted fetch leaves no half class path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    relock(os.environ, installed(os.environ)[0])
