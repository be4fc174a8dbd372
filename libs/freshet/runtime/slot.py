"""A slot belongs to one process of this machine at a time: a second one refuses to start."""

import fcntl
import os
from pathlib import Path
from typing import IO

import structlog

from freshet.runtime.settings import SettingsError


def hold_slot(state_dir: Path, transactional_id: str, slot: str) -> IO[str] | None:
    """Hold the slot as long as the returned file is open; it is free once the process has ended, however that happens.

    None where no file can be written: then only the broker's fencing decides who serves. Raises SettingsError.
    """
    path = state_dir / f"{transactional_id}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = path.open("a+")
    except OSError as error:
        structlog.get_logger("main").warning("no_slot_lock", path=str(path), error=str(error))
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.seek(0)
        owner = held.read().strip() or "?"
        held.close()
        raise SettingsError(
            f"slot {slot} ({transactional_id}) is taken by process {owner} on this machine: choose another --slot, or "
            "stop that process first."
        ) from None
    held.seek(0)
    held.truncate()
    held.write(str(os.getpid()))
    held.flush()
    return held
