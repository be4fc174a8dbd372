"""Environments of their own for programs of others, whose packages ours is not to have."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class NotInstalledError(Exception):
    """The packages could not be had."""


def environment(home: Path, packages: Sequence[str], within_s: float = 600.0) -> Path:
    """The interpreter of the environment in `home`, made anew unless it has just these. Raises NotInstalledError."""
    python, stamp, wanted = home / "bin/python", home / "installed.txt", "\n".join(packages)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(home, ignore_errors=True)
    install = [str(python), "-m", "pip", "install", "--quiet", *packages]
    for command in ([sys.executable, "-m", "venv", str(home)], install):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=within_s)
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines() or ["no reason given"]
            raise NotInstalledError(f"{home.name} cannot be installed: {lines[-1]}") from None
        except subprocess.TimeoutExpired:
            raise NotInstalledError(f"{home.name} was not installed within {within_s:.0f} s") from None
    stamp.write_text(wanted)
    return python
