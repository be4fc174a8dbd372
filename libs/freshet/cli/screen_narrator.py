"""Tells the demo to a person, line by line, with the time since the start."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from freshet.cli import score, verify
from freshet.cli.output import shown_text, wide_console
from freshet.operate.score.arithmetic import Scoring
from freshet.operate.verify.findings import Judgement
from freshet.pipeline import PipelineSpec


class ScreenNarrator:
    """See `Narrator`: numbered chapters, and lines under them. On a terminal a spinner shows what is waited for."""

    def __init__(self, *, stderr: bool = False) -> None:
        """`stderr` leaves stdout to a document."""
        self._console = wide_console(stderr=stderr)
        self._console.soft_wrap = True
        self._began = time.monotonic()
        self._chapters = 0

    def chapter(self, title: str) -> None:
        """See `Narrator`."""
        self._chapters += 1
        self._console.print(f"\n{self._chapters}. {shown_text(title)}", style="bold", markup=False)

    def line(self, text: str) -> None:
        """See `Narrator`."""
        self._console.print(f"  [dim]{time.monotonic() - self._began:5.1f} s[/dim]  ", end="")
        self._console.print(shown_text(text), markup=False)

    def text(self, text: str) -> None:
        """See `Narrator`."""
        for line in text.split("\n"):
            self._console.print(shown_text(line), markup=False)

    def judgement(self, found: Judgement) -> None:
        """See `Narrator`."""
        self._console.print(verify.shown(found), markup=False)

    def scores(self, found: Scoring, spec: PipelineSpec) -> None:
        """See `Narrator`."""
        self._console.print(score.shown(found, spec), markup=False)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """See `Narrator`; prints nothing where nobody watches."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(f"[dim]{what}[/dim]"):
            yield
