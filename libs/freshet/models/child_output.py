"""How a sandboxed child speaks to its parent: lines of JSON on a pipe that nothing else can write to."""

import json
import os
from collections.abc import Mapping
from typing import Any, TextIO


def keep_stdout() -> TextIO:
    """Keep the parent's pipe for us alone; whatever else is printed, however much, goes nowhere."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return out


def write_line(out: TextIO, line: Mapping[str, Any]) -> None:
    """One line, at once."""
    out.write(json.dumps(line) + "\n")
    out.flush()
