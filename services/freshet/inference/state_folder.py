"""Whether the in-flight note outlives this process: in a container's own layer it does not."""

import os
from pathlib import Path
from typing import Final

from freshet.runtime.settings import SettingsError

_LAYERS: Final = frozenset({"overlay", "fuse.fuse-overlayfs", "aufs"})
_INIT: Final = frozenset({0, 1})
"""Our parent, if this container lives and dies with us: an init, or nobody inside (then we are the init)."""


def check_outlives_us(folder: Path, *, mounts: str | None = None, parent: int | None = None) -> None:
    """Raise SettingsError if this folder goes when this process dies: then a row that kills would never be found.

    It goes if the process is the main one of a container and the folder lies in the container's own, writable layer. A
    supervisor inside the container starts us again in the same layer, so all is well there. `mounts` is the text of
    /proc/self/mounts, `parent` the number of our parent; both are looked up by default.
    """
    if (os.getppid() if parent is None else parent) not in _INIT:
        return
    if _kind(folder.absolute(), _mounts() if mounts is None else mounts) in _LAYERS:
        raise SettingsError(
            f"FRESHET_STATE_DIR: {folder} lies in this container's own layer, which is gone after each crash, and with "
            "it the note that tells the next process which row or model killed this one. Mount a folder there that "
            "outlives the container (in Kubernetes an emptyDir does), or set FRESHET_STATE_DIR to one."
        )


def _mounts() -> str:
    table = Path("/proc/self/mounts")
    return table.read_text() if table.exists() else ""


def _kind(folder: Path, mounts: str) -> str:
    """The file system that holds this folder: that of the deepest mount above it, the last of several there."""
    rows = [(Path(fields[1]), fields[2]) for fields in map(str.split, mounts.splitlines()) if len(fields) > 2]
    above = [(len(at.parts), number, kind) for number, (at, kind) in enumerate(rows) if folder.is_relative_to(at)]
    return max(above, default=(0, 0, ""))[2]
