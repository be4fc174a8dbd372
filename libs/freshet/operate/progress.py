"""How a long operation tells what it is doing."""

from collections.abc import Callable

Say = Callable[[str], object]
"""Takes one sentence at a time: a command line prints it, a console may show it."""


def silent(_: str) -> None:
    """Tells nobody."""
