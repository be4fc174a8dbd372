"""The example of docs/extending.md runs as it stands."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[3] / "docs/extending.md"


def test_the_examples_run() -> None:
    """Blocks follow one another, as in one module; every test in them passes."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    module: dict[str, Any] = {"__name__": "example"}
    exec("\n".join(blocks), module)
    tests: list[Callable[[], None]] = [found for name, found in module.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()
