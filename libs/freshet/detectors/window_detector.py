"""What detectors have in common that compare a window with a reference: how sure, how large, how often in a row."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from freshet.contracts.arrays import Bools, Floats, Ints
from freshet.detectors.detector import Finding, Level
from freshet.detectors.input_detector import Cause, InputDetector, InputFinding, Look
from freshet.profiles.bin_edges import BinEdges
from freshet.profiles.frame_content import FrameContent

_JUDGED: Final = 3
_BAD: Final = 2
"""A column's change is detected if so many of the last windows show it."""
_LEAST_SPREAD: Final = 0.05
"""The statistic of windows is taken to vary by this part of the effect, even where it did not vary at all."""
_ENOUGH: Final = 0.2
"""Answers of earlier epochs tell whether those changed too, if they are such a part of the window."""
_NAMED: Final = 5


class WindowDetector(InputDetector):
    """Compares each column of a window with the reference by one number, which is larger the more they differ.

    How much that number varies by chance is learned from the reference itself: each of its windows is compared with
    the others. So it becomes less sensitive, rather than wrong, where rows depend on each other.
    A column counts if the chance is small enough (Benjamini–Hochberg over all columns of the window), if the effect is
    large enough, and if the window also differs from what is usual at its hours, as far as that is known.
    """

    threshold_field: ClassVar[str] = "effect"
    root: ClassVar[float] = 1.0
    """The number to this power is a distance: by chance alone it falls with the square root of the rows."""
    finds: ClassVar[Cause] = "world"

    rate: float = Field(default=0.001, gt=0, lt=1)
    """Of the columns that count in a window, about this share may do so by chance."""
    effect: float
    """Smaller changes do not matter."""

    def columns(self, content: FrameContent) -> tuple[str, ...]:
        """What is compared; by default each column of the frames."""
        return content.names

    def statistic(self, window: FrameContent, reference: FrameContent, edges: BinEdges) -> Floats:
        """By how much each column differs, at least 0."""
        raise NotImplementedError

    def sentence(self, column: str, value: float, window: FrameContent, reference: FrameContent) -> str:
        """What has changed, for people."""
        raise NotImplementedError

    def window(self, state: Any, look: Look) -> tuple[Any, Sequence[InputFinding]]:
        """See `InputDetector`."""
        if not state or state["from"] != look.state_from or state["windows"] != len(look.learned):
            middle, spread = self._by_chance(look)
            learned = {"from": look.state_from, "windows": len(look.learned)}
            state = {**learned, "middle": middle.tolist(), "spread": spread.tolist(), "bad": []}
        found = self._found(state, look.window.content, look)
        value = self.statistic(look.window.content, look.reference, look.edges)
        bad = [*state["bad"], np.flatnonzero(found).tolist()][-_JUDGED:]
        times = np.bincount([at for window in bad for at in window], minlength=len(found))
        sure = found & (times >= _BAD)
        now = {**state, "bad": [] if sure.any() else bad}
        if not found.any():
            return now, ()
        level: Level = "detected" if sure.any() else "suspected"
        return now, [self._finding(level, np.flatnonzero(sure if sure.any() else found), value, state, look)]

    def _by_chance(self, look: Look) -> tuple[Floats, Floats]:
        """Mean and spread of the number when a window of the reference is compared with the others."""
        every = [window.content for window in look.learned]
        values = []
        for at, one in enumerate(every):
            rest = FrameContent.added([*every[:at], *every[at + 1 :]])
            values.append(self.statistic(one, rest, look.edges) ** self.root * _rows(one, rest) ** 0.5)
        return np.mean(values, axis=0), np.std(values, axis=0, ddof=1)

    def _found(self, state: Any, window: FrameContent, look: Look) -> Bools:
        """Which columns of this window have changed."""
        value = self.statistic(window, look.reference, look.edges)
        scale = _rows(window, look.reference) ** 0.5
        spread = np.maximum(state["spread"], _LEAST_SPREAD * self.effect**self.root * scale)
        known = state["windows"]
        score = (value**self.root * scale - state["middle"]) / (spread * np.sqrt(1 + 1 / known))
        found: Bools = passes(_chance(score, known - 1), self.rate) & (value >= self.effect)
        if look.usual is not None and found.any():
            found &= self.statistic(window, look.usual, look.edges) >= self.effect
        return found

    def _finding(self, level: Level, at: Ints, value: Floats, state: Any, look: Look) -> InputFinding:
        window, names = look.window, self.columns(look.window.content)
        order = at[np.argsort(-value[at], kind="stable")]
        first = int(order[0])
        # in the order of the columns: the alarm's id rests on these names, and which of two changed more may hang on a
        # last digit, which differs on another machine
        named = [names[column] for column in at[:_NAMED].tolist()]
        more = f" and {len(at) - len(named)} more" if len(at) > len(named) else ""
        finding = Finding(
            level,
            f"{', '.join(named)}{more}",
            statistic=float(value[first]),
            threshold=self.effect,
            effect=float(value[first]),
            reference=(look.learned[0].from_row, look.learned[-1].end_row),
            test=(window.from_row, window.end_row),
            offset=window.offset,
            state_from=look.state_from,
            text=self.sentence(names[first], float(value[first]), window.content, look.reference),
        )
        shares = value[order] / value[order].sum()
        attribution = {names[column]: float(share) for column, share in zip(order.tolist(), shares, strict=True)}
        epochs = tuple(sorted({epoch for epoch in window.content.epochs if epoch >= 0}))
        cause = self._cause(state, look)
        return InputFinding(finding, attribution, cause, window.since, epochs, begins_anew=level == "detected")

    def _cause(self, state: Any, look: Look) -> Cause:
        """Our own rollout if the answers of epochs that the reference knows have not changed, or are hardly there."""
        window, known = look.window.content, set(look.reference.epochs)
        if set(window.epochs) <= known:
            return self.finds
        before = window.of_epochs(known)
        if before.rows < _ENOUGH * window.rows:
            return "own_rollout"
        return self.finds if self._found(state, before, look).any() else "own_rollout"


def passes(chance: Floats, rate: float) -> Bools:
    """Benjamini–Hochberg: which of these probabilities are so small that only a share of `rate` of them is chance."""
    order = np.argsort(chance, kind="stable")
    bound = rate * np.arange(1, len(chance) + 1) / max(1, len(chance))
    good = np.flatnonzero(chance[order] <= bound)
    found = np.zeros(len(chance), np.bool_)
    if good.size:
        found[order[: good[-1] + 1]] = True
    return found


def _chance(score: Floats, freedom: int) -> Floats:
    """How likely a score at least so high is, by Student's t."""
    from scipy.special import stdtr  # noqa: PLC0415 (only whoever detects needs it, and all read pipeline.yaml)

    found: Floats = stdtr(freedom, -score)
    return found


def _rows(window: FrameContent, reference: FrameContent) -> float:
    """How many rows two samples of these sizes are worth."""
    return window.rows * reference.rows / max(1, window.rows + reference.rows)
