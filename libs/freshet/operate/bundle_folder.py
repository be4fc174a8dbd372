"""Folders that a bundle is written to: what is there already is not written over by accident."""

from pathlib import Path

from freshet.models.bundle import Bundle
from freshet.operate.operate_error import OperateError


def bundle_files(folder: Path) -> list[Path]:
    """Files of a bundle that the folder holds; none if it is not there. Raises OperateError if it is a file."""
    if folder.exists() and not folder.is_dir():
        raise OperateError(f"{folder} is a file: name a folder to write the bundle to.", "usage")
    return [folder / name for name in Bundle.FILES if (folder / name).exists()]


def refuse_occupied(folder: Path) -> None:
    """Raises OperateError if the folder holds a bundle, of whatever pipeline, or half of one."""
    if there := bundle_files(folder):
        raise OperateError(
            f"{there[0]} exists already. Name another folder, or write over it with --force.", "conflict"
        )
