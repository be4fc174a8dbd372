"""Alarms of a story found again in its logs: with the same ids, and which there would be under other thresholds."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from freshet.detectors.alarming_part import AlarmingPart
from freshet.lab.demo.narrator import Narrator
from freshet.operate.alarm_log import Agreement, ReplayChange, Replayed, agreement, replays, told
from freshet.runtime.bus.protocol import Bus

_OTHERS: Final = (("adwin", "0.00002"), ("psi", "0.02"))
"""One for each log: less sensitive than by default, where it is 0.002, and more sensitive, where it is 0.1."""


@dataclass(frozen=True, slots=True)
class OtherThreshold:
    """What a detector would have said with another threshold: its alarms of each level."""

    detector: str
    threshold: str
    detected: int
    suspected: int
    sensitivity: str
    """What the threshold is, here and by default, and what it means."""


@dataclass(frozen=True, slots=True)
class AlarmsAgain:
    """What a replay of both logs gave."""

    agreement: Agreement
    rows: int
    """Of the labelled log."""
    frames: int
    """Of the profiles."""
    others: tuple[OtherThreshold, ...]

    @property
    def good(self) -> bool:
        """Whether every alarm that was told comes again, and no other comes before the last one."""
        return not self.agreement.only_told and not self.agreement.only_replayed

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "same": list(self.agreement.same),
            "only_told": list(self.agreement.only_told),
            "only_replayed": list(self.agreement.only_replayed),
            "others": [asdict(one) for one in self.others],
        }


def alarms_again(bus: Bus, pipeline: str, parts: Iterable[AlarmingPart]) -> AlarmsAgain:
    """Replay both logs, and with other thresholds of those of these detectors for which there are some."""
    said = {part.kind: part.sensitivity for part in parts}
    others = [(kind, threshold) for kind, threshold in _OTHERS if kind in said]
    asked = [ReplayChange(), *(ReplayChange(kind, {"threshold": threshold}) for kind, threshold in others)]
    done, *changed = replays(bus, pipeline, asked)
    answers = (
        _other(kind, threshold, said[kind], found) for (kind, threshold), found in zip(others, changed, strict=True)
    )
    return AlarmsAgain(agreement(told(bus, pipeline), done.alarms), done.rows, done.frames, tuple(answers))


def show_alarms_again(narrator: Narrator, found: AlarmsAgain) -> None:
    """What came again, and a line for each other threshold."""
    agreed = found.agreement
    text = f"{found.rows:,} rows and {found.frames:,} frames of profiles folded again: "
    if found.good:
        narrator.text(f"  {text}{len(agreed.same)} alarms come again, each with the same id.")
    else:
        lost, new = ", ".join(agreed.only_told) or "none", ", ".join(agreed.only_replayed) or "none"
        narrator.text(f"  {text}told and not found again: {lost}; found and not told: {new}.")
    for one in found.others:
        narrator.text(
            f"  {one.detector} with a threshold of {one.threshold} would have raised {one.detected} alarms of level "
            f"detected and {one.suspected} of level suspected;"
        )
        narrator.text(f"    {one.sensitivity}")


def _other(kind: str, threshold: str, sensitivity: str, found: Replayed) -> OtherThreshold:
    levels = [alarm.level for alarm in found.alarms if alarm.detector == kind]
    return OtherThreshold(kind, threshold, levels.count("detected"), levels.count("suspected"), sensitivity)
