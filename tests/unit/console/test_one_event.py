"""What belongs to one answer: its row of the labelled log, found by the prediction's place."""

import numpy as np

from freshet.console.one_event import OutcomeRow, _outcome
from freshet.outcomes.outcome_rows import OutcomeRows
from support.drift_story import good


def test_an_answer_finds_its_row_of_the_labelled_log() -> None:
    """By partition and offset of the prediction; one that no label has met has none."""
    story = good(outcomes=1)
    story.write_log()
    record = next(one for one in story.outcomes if one.partition == 1 and one.rows)
    rows = OutcomeRows.of(record)
    offset = int(rows.prediction_offset[0])
    at = int(np.flatnonzero(rows.prediction_offset == offset)[-1])  # a correction comes later, and counts
    found = _outcome(story.bus, {"partition": 1, "offset": offset})
    assert isinstance(found, OutcomeRow)
    assert (found.answered, found.true) == (int(rows.answer[at]), int(rows.label[at]))
    assert found.row == record.first_row + at
    assert _outcome(story.bus, {"partition": 1, "offset": 10_000}) is None
