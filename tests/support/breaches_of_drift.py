"""Breaches of what drift's services promise, planted in what `drift_story.good` leaves on the topics."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from freshet.outcomes.outcome_rows import NO_VALUES
from support.drift_story import Story, replaced

_ONCE: Final = "the labelled log has each row once"
_ADD_UP: Final = "predictions and labels add up"
_AS_MANY: Final = "rows and minutes are as many as the counts say"
_MISSING: Final = "labels meet their predictions"
_BEYOND: Final = "rows follow from a prediction and its labels"
_COUNTS: Final = "counts are those of predictions and labels"
_PREDICTIONS: Final = "rows say what their predictions say"
_LABELS: Final = "rows say what their labels say"
_VALUES: Final = "rows hold the values of their features"


class DriftBreach(NamedTuple):
    """What plants it, and the checks that must fail, all of them."""

    plant: Callable[[Story], None]
    found: frozenset[str]
    said: bool = False
    """Whether it is in what was said of the log; else in the log, of which all that follows was said."""


def _record_lost(story: Story) -> None:
    del story.outcomes[1]


def _record_twice(story: Story) -> None:
    story.outcomes.insert(2, story.outcomes[1])


def _tail_lost(story: Story) -> None:
    """The offsets were committed and the record was not: the two halves of a transaction that a broker tore."""
    del story.outcomes[-1]


def _label_uncounted(story: Story) -> None:
    counts = story.outcomes[-1].counts
    story.outcomes[-1] = story.outcomes[-1].model_copy(update={"counts": {**counts, "late": counts["late"] + 1}})


def _prediction_uncounted(story: Story) -> None:
    counts = story.outcomes[-1].counts
    story.outcomes[-1] = story.outcomes[-1].model_copy(update={"counts": {**counts, "open": counts["open"] - 1}})


def _counted_as_another(story: Story) -> None:
    """It adds up, and is wrong all the same."""
    counts = story.outcomes[-1].counts
    moved = {**counts, "late": counts["late"] + 1, "unknown": counts["unknown"] - 1}
    story.outcomes[-1] = story.outcomes[-1].model_copy(update={"counts": moved})


def _minute_lost(story: Story) -> None:
    story.outcomes[0] = story.outcomes[0].model_copy(update={"minutes": ()})


def _change(**columns: object) -> Callable[[Story], None]:
    """One row of partition 0 says something else."""

    def plant(story: Story) -> None:
        story.outcomes[1] = replaced(story.outcomes[1], 5, **columns)

    return plant


def _evaluation_lost(story: Story) -> None:
    del story.evaluations[1]


def _evaluation_changed(story: Story) -> None:
    sum_ = story.evaluations[1].log_loss_sum
    story.evaluations[1] = story.evaluations[1].model_copy(update={"log_loss_sum": sum_ + 0.001})


def _evaluation_counted_wrong(story: Story) -> None:
    confusion = np.frombuffer(story.evaluations[0].confusion, "<i8").copy()
    confusion[:2] += (1, -1)
    story.evaluations[0] = story.evaluations[0].model_copy(update={"confusion": confusion.tobytes()})


def _evaluation_twice(story: Story) -> None:
    story.evaluations.insert(2, story.evaluations[1])


def _evaluation_invented(story: Story) -> None:
    story.evaluations.append(story.evaluations[-1].model_copy(update={"end_row": 7, "view": "arrival"}))


def _alarm_lost(story: Story) -> None:
    story.alarms.clear()


def _alarm_of_another_id(story: Story) -> None:
    story.alarms[0] = story.alarms[0].model_copy(update={"id": "0" * 32})


def _alarm_of_other_rows(story: Story) -> None:
    story.alarms[0] = story.alarms[0].model_copy(update={"test_from": story.alarms[0].test_from + 1})


def _alarm_twice(story: Story) -> None:
    story.alarms.append(story.alarms[-1])


_LOST_EVALUATION: Final = frozenset({"no evaluation is lost"})
_WRONG_EVALUATION: Final = frozenset({"evaluations follow from the labelled log"})
_LOST_ALARM: Final = frozenset({"no alarm is lost"})
_WRONG_ALARM: Final = frozenset({"alarms follow from the labelled log"})

DRIFT_BREACHES: Final[dict[str, DriftBreach]] = {
    "record lost": DriftBreach(_record_lost, frozenset({_ONCE, _AS_MANY, _MISSING})),
    "record written twice": DriftBreach(_record_twice, frozenset({_ONCE, _AS_MANY, _BEYOND})),
    "tail lost": DriftBreach(_tail_lost, frozenset({"no record is left out that the join has read"})),
    "label uncounted": DriftBreach(_label_uncounted, frozenset({_ADD_UP, _COUNTS})),
    "prediction uncounted": DriftBreach(_prediction_uncounted, frozenset({_ADD_UP, _COUNTS})),
    "counted as another": DriftBreach(_counted_as_another, frozenset({_COUNTS})),
    "minute lost": DriftBreach(_minute_lost, frozenset({_AS_MANY})),
    "another label": DriftBreach(_change(label=1), frozenset({_MISSING, _BEYOND, _LABELS})),
    "another revision": DriftBreach(_change(revision=9), frozenset({_MISSING, _BEYOND, _LABELS})),
    "label of another prediction": DriftBreach(
        _change(prediction_offset=50), frozenset({_MISSING, _BEYOND, _PREDICTIONS})
    ),
    "label that is another": DriftBreach(_change(label_offset=50), frozenset({_MISSING, _BEYOND, _LABELS})),
    "label before its time": DriftBreach(_change(labelled_ms=1), frozenset({_MISSING, _BEYOND})),
    "known before": DriftBreach(_change(flags=5), frozenset({_MISSING, _BEYOND})),
    "correction that is none": DriftBreach(_change(flags=2), frozenset({_MISSING, _BEYOND, _AS_MANY})),
    "another answer": DriftBreach(_change(answer=1), frozenset({_PREDICTIONS})),
    "another epoch": DriftBreach(_change(epoch=5), frozenset({_PREDICTIONS})),
    "other scores": DriftBreach(_change(scores=np.array([0.7, 0.3], np.float32)), frozenset({_PREDICTIONS})),
    "other values": DriftBreach(_change(values=np.array([1, 1], np.float32)), frozenset({_VALUES})),
    "values withheld": DriftBreach(
        _change(values=np.array([np.nan, np.nan], np.float32), flags=1 | NO_VALUES), frozenset({_VALUES})
    ),
    "evaluation lost": DriftBreach(_evaluation_lost, _LOST_EVALUATION, said=True),
    "evaluation changed": DriftBreach(_evaluation_changed, _WRONG_EVALUATION, said=True),
    "evaluation counted wrong": DriftBreach(_evaluation_counted_wrong, _WRONG_EVALUATION, said=True),
    "evaluation said twice": DriftBreach(_evaluation_twice, _WRONG_EVALUATION, said=True),
    "evaluation invented": DriftBreach(_evaluation_invented, _WRONG_EVALUATION, said=True),
    "alarm lost": DriftBreach(_alarm_lost, _LOST_ALARM, said=True),
    "alarm of another id": DriftBreach(_alarm_of_another_id, _LOST_ALARM | _WRONG_ALARM, said=True),
    "alarm of other rows": DriftBreach(_alarm_of_other_rows, _WRONG_ALARM, said=True),
    "alarm said twice": DriftBreach(_alarm_twice, _WRONG_ALARM, said=True),
}
