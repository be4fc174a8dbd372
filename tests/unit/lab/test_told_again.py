"""At the end of a story, what says the same again is told once, with a count."""

from typing import Any, cast

from freshet.contracts.messages import Alarm
from freshet.lab.demo.drift_watch import show_alarms
from freshet.lab.demo.training_watch import show_trainings
from freshet.operate.training_runs import Run
from support.console import training
from support.retraining import alarm


class Heard:
    """A narrator that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def text(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)


def _alarm(at: int, cause: str, detector: str = "adwin", level: str = "detected") -> Alarm:
    rows = (1000 * at - 200, 1000 * at + 1)
    return alarm(f"{at:08x}" * 4, rows, cause=cause, detector=detector, level=level)


def test_alarms_of_one_rollout_are_told_once_with_a_count() -> None:
    """The first in full; of the others only which they are and how far they go. Suspicions between them do not part
    them.
    """
    heard = Heard()
    own = [_alarm(at, "own_rollout") for at in (2, 3, 4)]
    alarms = [_alarm(1, "world"), own[0], _alarm(9, "own_rollout", level="suspected"), *own[1:]]
    show_alarms(cast(Any, heard), alarms)
    assert [line.split(",")[0] for line in heard.lines[:2]] == ["  alarm 00000001", "  alarm 00000002"]
    assert heard.lines[2].startswith("    2 more say the same again of newer rows, up to 4,000,")
    assert heard.lines[2].endswith(": 00000003, 00000004")
    assert len(heard.lines) == 4  # and the one that is only suspected


def test_alarms_of_the_world_or_of_other_detectors_each_have_a_line() -> None:
    """They may be of different changes."""
    heard = Heard()
    own = [_alarm(3, "own_rollout"), _alarm(4, "own_rollout", "promise")]
    show_alarms(cast(Any, heard), [_alarm(1, "world"), _alarm(2, "world"), *own])
    assert len(heard.lines) == 4


def test_occasions_with_one_outcome_are_counted() -> None:
    """Those in a row; another one between them has a line of its own."""

    def skipped(reason: str) -> Run:
        return Run(training("t1", 0, phase="skipped", trigger="alarm", reason=reason), 0)

    heard = Heard()
    show_trainings(cast(Any, heard), [skipped("ours."), skipped("ours."), skipped("too soon."), skipped("ours.")])
    assert heard.lines[:3] == [
        "  trigger alarm: skipped: ours. (2 times)",
        "  trigger alarm: skipped: too soon.",
        "  trigger alarm: skipped: ours.",
    ]
