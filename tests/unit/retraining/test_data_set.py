"""Which rows of the labelled log a model learns from, and which it is tried on."""

import numpy as np
import pytest

from freshet.contracts.errors import ContractError
from freshet.outcomes.log_rows import Stretch, stretch_of
from freshet.outcomes.outcome_rows import ABSENT, FIRST, KNOWN_BEFORE, NO_VALUES, OutcomeRows
from freshet.retraining.data_set import DataSet, Labelled, WatermarkError, check_enough, data_set
from freshet.training.trainer import TrainingError
from support.labelled import CLASSES, STEP_MS, learnable, records_of, revised, scrambled

NAMES = ("amount", "age", "hour")


def stretch(*parts: OutcomeRows) -> Stretch:
    """All of it, of one partition."""
    rows = OutcomeRows.joined(parts, width=3, classes=2)
    return Stretch(0, rows, np.zeros(len(rows), np.int64))


def cut(log: Stretch, cut_row: int, from_row: int = 0, end_row: int | None = None) -> DataSet:
    """The data set of a log."""
    return data_set(log, from_row, cut_row, log.end_row if end_row is None else end_row, names=NAMES, classes=CLASSES)


def test_nothing_past_the_watermark_can_be_had() -> None:
    """Neither by a range nor by the place of a row."""
    labelled = Labelled(stretch(learnable(100)), 60)
    assert len(labelled.newest(0, 60)) == 60
    with pytest.raises(WatermarkError, match="row 61 lies behind the watermark 60"):
        labelled.newest(0, 61)
    with pytest.raises(WatermarkError, match="row 60"):
        labelled.rows(np.array([3, 60]))


def test_what_comes_after_the_cut_does_not_reach_the_training_part() -> None:
    """Labels behind it may be anything: same rows, same digest. Those before it may not."""
    rows = learnable(1000)
    plain, later, earlier = (cut(stretch(each), 700) for each in (rows, scrambled(rows, 700), scrambled(rows, 699)))
    assert later.training_digest == plain.training_digest
    assert (later.training.label == plain.training.label).all()
    assert later.digest != plain.digest
    assert earlier.training_digest != plain.training_digest


def test_holdout_was_predicted_after_all_that_was_learned_was_known() -> None:
    """Labels come 50 rows late: the first 50 predictions behind the cut were made without knowing the last labels."""
    found = cut(stretch(learnable(1000, late_rows=50)), 700)
    assert len(found.training) == 700
    assert found.trained_through_ms == 749 * STEP_MS + STEP_MS // 2
    assert found.holdout.predicted_ms.tolist() == [STEP_MS * at for at in range(750, 1000)]


def test_labels_later_than_the_holdout_are_not_learned_from() -> None:
    """400 rows late, all of the holdout would have been predicted too early: half of it is kept, and 349 labels go."""
    found = cut(stretch(learnable(1000, late_rows=400)), 700)
    middle = 849
    assert found.holdout.predicted_ms.tolist() == [STEP_MS * at for at in range(middle + 1, 1000)]
    assert len(found.training) == middle - 400
    assert found.trained_through_ms < STEP_MS * middle


def test_a_prediction_is_learned_once_by_its_last_label_before_the_cut() -> None:
    """A revision before the cut replaces the label, one behind it does not exist yet."""
    rows = learnable(100)
    other = 1 - int(rows.label[5])
    correction = revised(rows, 5, other, 200 * STEP_MS)
    at = 300 + np.arange(10)
    later = learnable(10, seed=1, prediction_offset=at, predicted_ms=at * STEP_MS, labelled_ms=at * STEP_MS + 1)
    before = cut(stretch(rows, correction, later), 102)
    assert len(before.training) == 100
    assert before.training.label[-1] == other, "it lies where it was corrected"
    after = cut(stretch(rows, correction, later), 100)
    assert after.training.label[5] == rows.label[5]


def test_the_same_offset_of_two_partitions_is_two_predictions() -> None:
    """Offsets count within a partition; a revision finds its own."""
    rows = learnable(1)
    other = 1 - int(rows.label[0])
    log = stretch(rows, rows, revised(rows, 0, other, 10**6))
    found = cut(Stretch(0, log.rows, np.array([0, 1, 1, 1])), log.end_row)
    assert found.training.label.tolist() == [int(rows.label[0]), other]


def test_rows_without_values_are_left_out_and_absent_labels_are_labels() -> None:
    """What was known before its prediction teaches, but is no measure."""
    flags = np.full(100, FIRST)
    flags[[3, 90]] |= NO_VALUES
    flags[[4, 91]] |= KNOWN_BEFORE
    flags[[5, 92]] |= ABSENT
    found = cut(stretch(learnable(100, flags=flags)), 80)
    assert len(found.training) == 79
    assert len(found.holdout) == 18


def test_a_range_that_begins_later_takes_no_row_before() -> None:
    """Nor does it claim to have begun before the oldest row that the log still has."""
    log = stretch(learnable(100))
    assert len(cut(log, 80, from_row=30).training) == 50
    late = Stretch(40, log.rows, log.partition)
    found = data_set(late, 10, 100, 140, names=NAMES, classes=CLASSES)
    assert (found.from_row, len(found.training)) == (40, 60)


def test_records_of_different_widths_make_one_stretch() -> None:
    """Features are appended: older rows have no value for the new one; one that is not asked for yet is dropped."""
    older = learnable(50, values=np.ones((50, 2), np.float32))
    records = [*records_of(older, 50), *records_of(learnable(50), 50)]
    found = stretch_of(records, 100, width=3, classes=2)
    assert np.isnan(found.rows.values[:50, 2]).all()
    assert (found.rows.values[:50, :2] == 1).all()
    assert stretch_of(records, 100, width=1, classes=2).rows.values.shape == (100, 1)
    assert found.partition.tolist() == [0] * 100, "each list of records begins with partition 0"
    with pytest.raises(ContractError, match="2 scores"):
        stretch_of(records, 100, width=3, classes=3)


def test_versions_are_told_apart_over_records() -> None:
    """Each record counts its own list of them."""
    first = learnable(2, versions=("1.0.0", "2.0.0"), version=np.array([0, 1]))
    second = learnable(2, versions=("2.0.0", "3.0.0"), version=np.array([0, 1]))
    joined = OutcomeRows.joined([first, second], width=3, classes=2)
    assert [joined.versions[at] for at in joined.version.tolist()] == ["1.0.0", "2.0.0", "2.0.0", "3.0.0"]


@pytest.mark.parametrize(
    ("rows", "least", "told"),
    [
        (learnable(50), 100, "there are 50 labelled rows to learn from, fewer than the 100"),
        (learnable(0), 0, "there are 0 labelled rows"),
        (learnable(50, label=np.ones(50, np.int64)), 10, "all 50 rows are of the class 'fraud'"),
    ],
)
def test_where_there_is_nothing_to_learn_it_is_said(rows: OutcomeRows, least: int, told: str) -> None:
    """Too few rows, or one class only."""
    with pytest.raises(TrainingError, match=told):
        check_enough(cut(stretch(rows), len(rows)).training, least)


def test_a_value_that_never_changes_teaches_nothing() -> None:
    """The same for a regression."""
    rows = learnable(50, value=True, truth=np.full(50, 2.5))
    log = Stretch(0, rows, np.zeros(50, np.int64))
    with pytest.raises(TrainingError, match=r"all 50 rows have the same value, 2\.5"):
        check_enough(data_set(log, 0, 50, 50, names=NAMES, classes=()).training, 10)


def test_a_class_that_the_pipeline_does_not_have_is_refused() -> None:
    """A stranger wrote it."""
    with pytest.raises(ContractError, match="a class that the pipeline does not have"):
        cut(stretch(learnable(50, label=np.full(50, 2))), 40)
