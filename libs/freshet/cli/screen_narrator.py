"""Tells the demo to a person, line by line, with the time since the start."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from freshet.cli import score, verify
from freshet.cli.output import shown_text, wide_console
from freshet.cli.told_waiting import TELL_S, told_waiting
from freshet.operate.score.arithmetic import Scoring
from freshet.operate.verify.findings import Judgement
from freshet.pipeline import PipelineSpec


class ScreenNarrator:
    """See `Narrator`: numbered chapters, and lines under them. On a terminal a spinner shows what is waited for."""

    def __init__(self, *, stderr: bool = False, tell_s: float = TELL_S) -> None:
        """`stderr` leaves stdout to a document. What is waited for is told after `tell_s` seconds, and each time that
        the wait has doubled.
        """
        self._console = wide_console(stderr=stderr)
        self._console.soft_wrap = True
        self._tell_s = tell_s
        self._one_line = threading.Lock()
        self._began = time.monotonic()
        self._chapters = 0

    def chapter(self, title: str) -> None:
        """See `Narrator`."""
        self._chapters += 1
        self._console.print(f"\n{self._chapters}. {shown_text(title)}", style="bold", markup=False)

    def line(self, text: str) -> None:
        """See `Narrator`."""
        with self._one_line:
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
        """See `Narrator`: a spinner on a terminal; everywhere a line when it takes ten seconds, twenty, forty, …"""
        with told_waiting(what, self._console, self.line, self._tell_s):
            yield
