"""Tells a person what happens, line by line, with the time since the start."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import RenderableType

from freshet.cli.output import wide_console


class Narrator:
    """Numbered chapters, and lines under them. On a terminal a spinner shows what is being waited for."""

    def __init__(self, *, stderr: bool = False) -> None:
        """`stderr` leaves stdout to a document."""
        self.console = wide_console(stderr=stderr)
        self.console.soft_wrap = True
        self._began = time.monotonic()
        self._chapters = 0

    def chapter(self, title: str) -> None:
        """Begin a new step of the story."""
        self._chapters += 1
        self.console.print(f"\n[bold]{self._chapters}. {title}[/bold]")

    def line(self, text: str) -> None:
        """One thing that happened."""
        self.console.print(f"  [dim]{time.monotonic() - self._began:5.1f} s[/dim]  {text}")

    def show(self, shown: RenderableType) -> None:
        """A table, or whatever else has lines of its own."""
        self.console.print(shown, markup=False)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that something is being waited for; prints nothing where nobody watches."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(f"[dim]{what}[/dim]"):
            yield
