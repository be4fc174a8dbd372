"""`freshet topic export` leaves out what strangers wrote, and counts it."""

import numpy as np
import pyarrow as pa
import pytest

from freshet.avro import Ragged
from freshet.avro.control import encode
from freshet.operate.export.content_digest import ContentDigest
from freshet.operate.export.log_table import LogTable
from freshet.operate.export.topic_tables import topic_table_of
from freshet.pipeline import PipelineSpec
from support.join_world import pipeline_record, prediction_columns
from support.outcomes import record_of, rows_of
from support.profile_world import encoder
from support.rows import batch, row

SPEC = PipelineSpec.parse(pipeline_record("{}").spec)


@pytest.mark.parametrize("column", ["answer", "label"])
@pytest.mark.parametrize("place", [-2, len(SPEC.target.classes), 99])
def test_a_labelled_log_record_of_unknown_classes_is_left_out_and_counted(column: str, place: int) -> None:
    """It is well-formed in all else; the rows of other records are exported."""
    good = record_of(rows_of(3)).model_copy(update={"pipeline": SPEC.pipeline})
    bad = record_of(rows_of(3, **{column: np.full(3, place)})).model_copy(update={"pipeline": SPEC.pipeline})
    table, left_out = LogTable(SPEC).rows(batch([row(0, 0, encode(good)), row(0, 1, encode(bad))]))
    assert (table.num_rows, left_out) == (3, 1)


@pytest.mark.parametrize("scores", [0, 1, 5])
def test_a_prediction_with_another_number_of_scores_is_left_out_and_counted(scores: int) -> None:
    """The label join and profiles refuse it too. Scores that were cut or filled up are what no model answered."""
    own = prediction_columns(["a", "b"], [0, 1], bytes(16))
    strange = prediction_columns(["c"], [2], bytes(16)) | {
        "scores": Ragged.from_matrix(np.full((1, scores), 0.2, np.float32)),
    }
    (first, last), (between,) = encoder("Prediction").encode(own), encoder("Prediction").encode(strange)
    rows = [row(0, offset, value) for offset, value in enumerate([first, between, last])]
    table, left_out = topic_table_of("predictions", SPEC).rows(batch(rows))
    exported = pa.Table.from_batches([table]).to_pydict()
    assert (exported["event_id"], exported["offset"], left_out) == (["a", "b"], [0, 2], 1)


@pytest.mark.parametrize("cuts", [(1,), (2, 3), (5,)])
def test_the_digest_does_not_depend_on_how_records_are_batched(cuts: tuple[int, ...]) -> None:
    """With NaN, infinity and empty text among them, and a record that is left out."""
    scores = np.array([[np.nan, 1], [np.inf, 0], [-0.0, 0.0], [0.5, 0.5], [1, 0], [0, 1]], np.float32)
    columns = prediction_columns(["", "b", "cc", "", "e", "ä"], range(6), bytes(16)) | {
        "scores": Ragged.from_matrix(scores)
    }
    values = encoder("Prediction").encode(columns)
    rows = [row(0, at, value) for at, value in enumerate(values)]
    rows.insert(2, row(0, 9, b"rubbish"))
    table = topic_table_of("predictions", SPEC)
    whole, parts = ContentDigest(table.schema), ContentDigest(table.schema)
    whole.add(table.rows(batch(rows))[0])
    for first, end in zip((0, *cuts), (*cuts, len(rows)), strict=True):
        parts.add(table.rows(batch(rows[first:end]))[0])
    assert whole.hexdigest() == parts.hexdigest()
