"""Rows of the labelled log as artifacts: the same rows come back, and what two trainings share is kept once."""

import io

import numpy as np
import pytest

from freshet.models.artifact import chunk_key, digest_of
from freshet.models.contract import MIB
from freshet.models.model_error import ModelError
from freshet.outcomes.log_rows import Stretch
from freshet.retraining.data_set import data_set
from freshet.retraining.log_reading import read_stretch
from freshet.retraining.row_archive import RowArchive, aligned, archived
from freshet.runtime.bus.protocol import Send
from freshet.runtime.reading import everything
from support.labelled import CLASSES, Log, learnable, records_of

ROWS = 10_000
NAMES = ("amount", "age", "hour")


def log_of(count: int = ROWS) -> Log:
    """Rows that can be learned from."""
    return Log(*records_of(learnable(count), 500))


def stretch(log: Log, from_row: int, end_row: int) -> Stretch:
    """A training's read of the log."""
    return read_stretch(log.bus, "p", aligned(from_row, 3), end_row, end_row // 500 - 1, width=3, classes=2)


def kept(log: Log) -> list[tuple[bytes, bytes]]:
    """Keys and values of the artifacts topic."""
    batches = everything(log.bus, "artifacts")
    return [
        (key or b"", value or b"") for batch in batches for key, value in zip(batch.keys, batch.values, strict=True)
    ]


@pytest.mark.parametrize("from_row", [0, 3000, 9500])
def test_the_same_data_set_comes_back(from_row: int) -> None:
    """With the same digest, whether its first piece is whole or not."""
    log = log_of()
    rows = stretch(log, from_row, ROWS)
    back = archived(RowArchive().publish(rows, from_row, log.bus), log.bus)
    assert back.end_row == ROWS
    one, other = (data_set(each, from_row, 9800, ROWS, names=NAMES, classes=CLASSES) for each in (rows, back))
    assert one.digest == other.digest
    assert one.from_row == other.from_row
    np.testing.assert_array_equal(one.holdout.label, other.holdout.label)


def test_what_two_trainings_share_is_kept_once() -> None:
    """A piece that is whole has the same digest for both; one process writes it once, and another writes it alike."""
    log, archive = log_of(), RowArchive()
    archive.publish(stretch(log, 0, 9000), 0, log.bus)
    first = kept(log)
    archive.publish(stretch(log, 2500, ROWS), 2500, log.bus)
    second = kept(log)[len(first) :]
    assert len(second) == 2  # the last piece, which has grown, and the list
    RowArchive().publish(stretch(log, 2500, ROWS), 2500, log.bus)
    third = kept(log)[len(first) + len(second) :]
    assert {key for key, _ in third} < {key for key, _ in [*first, *second]}


def test_pieces_are_files_that_numpy_reads_and_fit_one_record() -> None:
    """Named after their bytes."""
    log = log_of()
    RowArchive().publish(stretch(log, 0, ROWS), 0, log.bus)
    for key, value in kept(log):
        assert key.decode() == chunk_key(digest_of(value), 0)
        assert len(value) < MIB // 2
    with np.load(io.BytesIO(kept(log)[0][1])) as piece:
        assert piece["values"].shape[1] == len(NAMES)


def test_a_record_that_is_not_what_its_key_says_does_not_count() -> None:
    """What is damaged is missing, until it is published again."""
    log = log_of(1000)
    listed = RowArchive().publish(stretch(log, 0, 1000), 0, log.bus)
    (piece, _), _ = kept(log)
    log.bus.producer().send(Send("artifacts", [piece], [b"rubbish"]))
    assert archived(listed, log.bus).end_row == 1000
    log.cluster.compact("freshet.artifacts")
    with pytest.raises(ModelError, match="does not hold"):
        archived(listed, log.bus)
