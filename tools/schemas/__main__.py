"""`python -m tools.schemas check | lock`: the schemas folder, before a commit. `make check` and `make lock-schemas`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from freshet.contracts.errors import SchemaError
from freshet.contracts.shipped import schemas_dir
from tools.schemas import SchemaFolder, check_folder, release


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found or written; returns 1 if the folder is not in order, or must not be released as it is."""
    parser = argparse.ArgumentParser(prog="python -m tools.schemas", description="The schemas folder, for maintainers.")
    parser.add_argument(
        "command", choices=["check", "lock"], help="find all that is wrong, or release what has changed, for ever"
    )
    parser.add_argument("folder", type=Path, nargs="?", default=schemas_dir(), help="by default the checkout's")
    asked = parser.parse_args(arguments)
    try:
        folder = SchemaFolder.load(asked.folder)
        return _check(folder) if asked.command == "check" else _lock(folder, asked.folder)
    except SchemaError as error:
        print(error, file=sys.stderr)
        return 1


def _check(folder: SchemaFolder) -> int:
    problems = check_folder(folder)
    print("\n".join(map(str, problems)) or "The schemas are in order.")
    return 1 if problems else 0


def _lock(folder: SchemaFolder, root: Path) -> int:
    """The next version and id for each changed schema, kept for ever."""
    files = release(folder)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    print("\n".join(f"wrote {path}" for path in files) or "Nothing has changed since the last release.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
