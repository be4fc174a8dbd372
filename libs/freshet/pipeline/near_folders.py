"""Which folder was meant, where one is named that holds no pipeline."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

_FILE: Final = "pipeline.yaml"
_MOST: Final = 3


def did_you_mean(folder: Path) -> str:
    """A question that names the folders of pipelines that are near this one, with a blank before it; empty for none."""
    found = list(dict.fromkeys(_near(folder)))[:_MOST]
    return f" Did you mean {' or '.join(map(str, found))}?" if found else ""


def _near(folder: Path) -> Iterator[Path]:
    """In the folder, around it, beside it under a name like its own, and in folders beside it under its very name."""
    yield from _folders(folder, f"*/{_FILE}")
    if folder.parent != folder and (folder.parent / _FILE).is_file():
        yield folder.parent
    beside = {path.name.lower(): path for path in _folders(folder.parent, f"*/{_FILE}")}
    for name in get_close_matches(folder.name.lower(), beside):
        yield beside[name]
    if folder.name:
        yield from (path for path in _folders(folder.parent, f"*/*/{_FILE}") if path.name == folder.name)


def _folders(folder: Path, pattern: str) -> list[Path]:
    return sorted(path.parent for path in folder.glob(pattern))
