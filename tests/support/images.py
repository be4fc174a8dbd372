"""What docker/Dockerfile says, and its build stage carried out in a folder: no container engine is needed."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "docker/Dockerfile"
LOCKS: Final = ROOT / "docker/locks"
EDGES: Final = ("console", "gateway", "webhook", "subjects")
SERVICES: Final = ("ingestion", "inference", "drift", "retraining", "registry", *EDGES)

_OURS: Final = re.compile(r"(?<![\w./])(?=/(?:opt|build|var/lib/freshet|pipelines)\b)")
"""Where a path begins that an image has, and this machine has not."""


class Step(NamedTuple):
    """One instruction of a Dockerfile, its continuation lines joined."""

    instruction: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its exec form; in shell form, or where it has none, the words."""
        return list(json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)


def stages(text: str) -> list[list[Step]]:
    """The steps of each stage, which begins with FROM."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    found: list[list[Step]] = []
    for instruction, _, rest in (line.strip().partition(" ") for line in joined):
        if instruction == "FROM":
            found.append([])
        found[-1].append(Step(instruction, " ".join(rest.split())))
    return found


def settings(steps: Sequence[Step]) -> dict[str, str]:
    """What the ENV steps set."""
    pairs = (word.partition("=") for step in steps if step.instruction == "ENV" for word in step.words)
    return {name: value for name, _, value in pairs}


def context() -> Iterator[Path]:
    """The files and folders that .dockerignore lets through, from the root."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            yield Path(line[1:])


@dataclass
class Image:
    """The image of one service, made in a folder that stands for its root."""

    service: str
    root: Path
    environment: dict[str, str] = field(init=False)

    def build(self) -> None:
        """Carry out the first stage, step by step. What it installs is what its own lock names, by hash."""
        build, final = stages(DOCKERFILE.read_text())
        (self.root / "var/lib/freshet").mkdir(parents=True)
        self._put_python()
        self._copy(context(), self.root / "context")
        where = self.root
        for step in build:
            if step.instruction == "WORKDIR":
                where = Path(self.inside(step.text))
                where.mkdir(parents=True)
            elif step.instruction == "COPY":
                self._copied(step, where)
            elif step.instruction == "RUN":
                self._run(step.text, where)
        self.environment = {name: self.inside(value) for name, value in settings(final).items()}
        self.environment["PATH"] = self.environment["PATH"].replace("$PATH", "/usr/bin:/bin")

    def inside(self, text: str) -> str:
        """The text, with the image's paths put under our folder."""
        return _OURS.sub(str(self.root), text)

    def _put_python(self) -> None:
        """The base image's `python`: an interpreter that knows none of our packages."""
        base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
        python = self.root / "usr/python"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(str(base))} "$@"\n')
        python.chmod(0o755)

    def _copied(self, step: Step, where: Path) -> None:
        source, target = step.words
        origin, target_path = self.root / "context" / source, where / target
        shutil.copytree(origin, target_path, dirs_exist_ok=True)

    def _copy(self, paths: Iterator[Path], target: Path) -> None:
        for path in paths:
            place = target / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / path).is_dir():
                shutil.copytree(ROOT / path, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / path, place)

    def _run(self, command: str, where: Path) -> None:
        """Without anything of this environment; its wheels were fetched before, once for all images."""
        line = self.inside(command)
        environment = {
            "PATH": f"{self.root}/usr:/usr/bin:/bin",
            "SERVICE": self.service,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels()),
        }
        done = subprocess.run(
            ["/bin/sh", "-ec", line], cwd=where, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@cache
def wheels() -> Path:
    """A folder with the wheels that the locks of all images name. It stays, so a second run fetches nothing."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freshet/wheels"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: pin for lock in sorted(LOCKS.glob("*.lock")) for name, pin in pins(lock).items()}
    there = {tuple(wheel.name.split("-")[:2]) for wheel in folder.glob("*.whl")}
    missing = [pin.text for name, pin in wanted.items() if (re.sub(r"[-.]+", "_", name), pin.version) not in there]
    if missing:
        with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
            lock.write("\n".join(missing))
            lock.flush()
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            subprocess.run([*fetch, "--only-binary", ":all:", "--dest", folder, "--requirement", lock.name], check=True)
    return folder


def libraries_of_the_system(folder: Path) -> dict[str, set[str]]:
    """Shared libraries that extension modules in the folder take from elsewhere, each with who takes it."""
    taken: dict[str, set[str]] = {}
    brought = {path.name for path in folder.rglob("*.so*")}  # one that is loaded first finds the next beside it
    for module in folder.rglob("*.so*"):
        listed = subprocess.run(["ldd", str(module)], capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            name, arrow, place = line.strip().partition(" => ")
            if arrow and name not in brought and not place.startswith(str(folder)):
                taken.setdefault(name, set()).add(str(module.relative_to(folder)))
    return taken


def health_command(steps: Sequence[Step]) -> list[str]:
    """What the HEALTHCHECK runs."""
    (text,) = (step.text for step in steps if step.instruction == "HEALTHCHECK")
    return list(json.loads(text.partition(" CMD ")[2]))


class Pin(NamedTuple):
    """One package of a lock file, and its lines there."""

    version: str
    text: str


def pins(lock: Path) -> Mapping[str, Pin]:
    """The packages of a lock file, by name."""
    blocks = re.split(r"\n(?=\S)", lock.read_text().strip())
    heads = ((re.match(r"([\w.-]+)==([\w.!+-]+)", block), block) for block in blocks)
    return {head[1]: Pin(head[2], block) for head, block in heads if head is not None}
