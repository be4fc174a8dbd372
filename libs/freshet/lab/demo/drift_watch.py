"""What drift's services say while a story is told: how good each version is, and what has changed."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, TypeVar

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Alarm
from freshet.lab.demo.narrator import Narrator
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.quality.quality_tables import share
from freshet.operate.quality.series_quality import SERVED, VERSION, Evaluations, Quality, SeriesQuality, quality
from freshet.quality.arrival import EVERY_ROWS
from freshet.quality.known import MAJORITY, NO_CHANGE
from freshet.runtime.feed import Feed

T = TypeVar("T")

_TITLES: Final = {
    SERVED: "all that was served",
    MAJORITY: "without a model: what is commonest",
    NO_CHANGE: "without a model: the last label known",
}


class DriftWatch:
    """Evaluations, and alarms about answers that were labelled, of a deployment's pipeline. Not thread-safe."""

    def __init__(self, deployment: LocalDeployment) -> None:
        self._deployment = deployment
        self._feed = Feed(deployment.bus.reader(["evaluations", "alarms"]))
        self._evaluations = Evaluations(deployment.spec.pipeline)
        self._alarms: list[Alarm] = []

    def quality(self, since_ms: int | None = None) -> Quality:
        """How good all series are by what has been taken in, of all predictions or of those since then."""
        return quality(self._evaluations.records, self._deployment.view.ledger, since_ms=since_ms)

    @property
    def evaluations(self) -> Sequence[Evaluation]:
        """All that have been taken in, in their order."""
        return self._evaluations.records

    @property
    def alarms(self) -> Sequence[Alarm]:
        """All that have been taken in, in their order."""
        return self._alarms

    def wait_quality(self, version: str, since_ms: int = 0) -> None:
        """Wait for the first evaluation of this version that `quality` shows of the predictions since then.

        Raises LocalError if none comes.
        """

        def there() -> bool | None:
            records = self._evaluations.records
            return any(_is_shown(one, VERSION + version, since_ms) for one in records) or None

        self._wait(f"an evaluation of version {version}", there)

    def wait_alarm(self, after: int) -> Alarm:
        """The first change that is detected, and not only suspected, behind so many alarms. Raises LocalError if none
        comes.
        """
        return self._wait(
            "an alarm", lambda: next((one for one in self._alarms[after:] if one.level == "detected"), None)
        )

    def take(self) -> None:
        """Take in all that is there now. Raises LocalError if the broker does not give it."""
        self._wait("evaluations and alarms", lambda: self._feed.caught_up() or None)

    def close(self) -> None:
        """Free the reader."""
        self._feed.close()

    def _wait(self, what: str, found: Callable[[], T | None]) -> T:
        def taken() -> T | None:
            facts = list(self._feed.facts())
            self._evaluations.take(facts)
            messages = (fact.message for fact in facts)
            pipeline = self._deployment.spec.pipeline
            alarms = (one for one in messages if isinstance(one, Alarm) and one.pipeline == pipeline)
            self._alarms += [one for one in alarms if one.watched == "outcomes"]
            return found()

        return self._deployment.view.wait(what, lambda _: taken())


def _is_shown(one: Evaluation, series: str, since_ms: int) -> bool:
    return one.view == "arrival" and one.series == series and one.end_ms > since_ms


def show_quality(narrator: Narrator, found: Quality) -> None:
    """A line for each version, and for the answers that need no model.

    All that was served has a line of its own only beside several versions: evaluations are of so many labels of each
    series, so those of one version and of all that was served begin and end at other labels.
    """
    if not found.series:
        narrator.text(f"           nothing yet: {EVERY_ROWS} labels that came after their answers make an evaluation.")
    versions = sum(one.name.startswith(VERSION) for one in found.series)
    shown = [one for one in found.series if one.name != SERVED or versions > 1]
    titles = [_title(one) for one in shown]
    width = max(map(len, titles), default=0)
    for title, one in zip(titles, shown, strict=True):
        narrator.text(f"           {title:<{width}}  {_worth(one, found):>12}  of {one.counts.rows:>7,} labels")


def show_alarms(narrator: Narrator, alarms: Sequence[Alarm]) -> None:
    """A line for each that is sure of itself, and how many are not. What one says again is told once, with a count."""
    sure = detected(alarms)
    for _, group in groupby(sure, _what_it_says):
        alarm, *again = group
        narrator.text(f"  {alarm_line(alarm)}")
        if again:
            ids = ", ".join(one.id[:8] for one in again)
            narrator.text(
                f"    {len(again)} more say the same again of newer rows, up to {again[-1].test_to - 1:,}, as long as "
                f"the answers of that rollout are worse: {ids}"
            )
    if not sure:
        narrator.text("  no alarm.")
    if len(sure) < len(alarms):
        narrator.text(f"  {len(alarms) - len(sure)} changes more are only suspected: freshet alarms list has them.")


def _what_it_says(alarm: Alarm) -> tuple[str, ...]:
    """The same for alarms that follow one another and tell of one rollout of ours; other alarms are each of a change of
    their own.
    """
    return (alarm.cause, alarm.detector) if alarm.cause == "own_rollout" else (alarm.id,)


def detected(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Those that are sure of themselves, without what is only suspected."""
    return [alarm for alarm in alarms if alarm.level == "detected"]


def alarm_line(alarm: Alarm) -> str:
    """Who says what, of which rows of the labelled log, and whose doing it is."""
    rows = f"rows {alarm.test_from:,} to {alarm.test_to - 1:,}"
    return f"alarm {alarm.id[:8]}, {alarm.level} by {alarm.detector} from {rows}, cause {alarm.cause}: {alarm.text}"


def _title(one: SeriesQuality) -> str:
    return _TITLES.get(one.name, one.name.removeprefix(VERSION))


def _worth(one: SeriesQuality, found: Quality) -> str:
    return f"{share(one.metrics.accuracy)} right" if found.classes else f"MAE {one.metrics.mae:.4g}"
