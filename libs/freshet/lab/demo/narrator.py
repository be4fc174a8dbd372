"""To whom the demo is told: a screen, or whatever else shows chapters and lines."""

from contextlib import AbstractContextManager
from typing import Protocol

from freshet.operate.score.arithmetic import Scoring
from freshet.operate.verify.findings import Judgement
from freshet.pipeline import PipelineSpec


class Narrator(Protocol):
    """Shows what happens as it happens. All text is plain, whatever it holds."""

    def chapter(self, title: str) -> None:
        """Begin a new step of the story."""

    def line(self, text: str) -> None:
        """One thing that happened, with the time since the start."""

    def text(self, text: str) -> None:
        """Some lines beside the story."""

    def judgement(self, found: Judgement) -> None:
        """What `freshet verify` prints."""

    def scores(self, found: Scoring, spec: PipelineSpec) -> None:
        """What `freshet score` prints."""

    def waiting(self, what: str) -> AbstractContextManager[None]:
        """Show that something is being waited for, and now and then that it still is: `what` stands behind "for"."""
