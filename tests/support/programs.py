"""Stand-ins for programs on the search path."""

from pathlib import Path


def put_program(folder: Path, name: str, script: str) -> None:
    """Make `folder/name` a shell script that can be run."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
