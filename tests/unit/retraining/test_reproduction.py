"""`freshet reproduce`: a training from its record once more, on a log in memory."""

from dataclasses import replace

import pytest

from freshet.contracts.training_message import Training
from freshet.retraining.core.train_job import Trained
from freshet.retraining.log_reading import RowsExpiredError
from freshet.retraining.reproduction import Reproduction, reproduce
from freshet.retraining.training_run import ROWS as ROWS_LISTED
from freshet.runtime.reading import everything
from support.labelled import NEVER, Log, learnable, records_of, scrambled, spec_text
from support.trained import admitted, finished

ROWS = 1500
CUT = 1200
OUTCOMES = "p.outcomes"


def trained(log: Log) -> tuple[Training, Trained]:
    """A training that has finished, and what it gave."""
    job = log.job(CUT)
    found = log.train(CUT)
    return finished(job, found), found


def again(log: Log, record: Training, found: Trained) -> Reproduction:
    """The same training once more."""
    return reproduce(record, admitted(found), spec_text(), log.bus, NEVER)


def test_the_same_training_gives_the_same_model_and_publishes_nothing() -> None:
    """Without the champion, which has no part in the model."""
    log = Log(*records_of(learnable(ROWS)))
    record, found = trained(log)
    done = again(log, record.model_copy(update={"champion": "0.9.0"}), found)
    assert done.same
    assert (done.made, done.differs, done.gap) == (found.digest, (), 0.0)
    assert done.sentence.startswith(f"training {record.training} gives the same model again, to the byte")
    assert len([value for batch in everything(log.bus, "candidates") for value in batch.values]) == 1


def test_another_model_is_told_with_the_reason() -> None:
    """Other rows, and what else is not as it was; nothing of that, and the trainer is to blame."""
    log = Log(*records_of(learnable(ROWS)))
    record, found = trained(log)
    other = Log(*records_of(scrambled(learnable(ROWS), 0)))
    done = again(other, record.model_copy(update={"code": "c0de"}), found)
    assert not done.same
    assert done.differs == ("rows", "code")
    assert "the rows are others than those that were recorded and this is another version of Freshet" in done.sentence
    assert "differ by up to" in done.sentence
    blamed = again(log, record.model_copy(update={"seed": 8, "params": {"balance": "true"}}), found)
    assert blamed.differs == ()
    assert "this trainer does not repeat itself" in blamed.sentence


@pytest.mark.parametrize("low", [3, 15])
def test_rows_that_the_log_has_lost_come_from_the_artifacts(low: int) -> None:
    """Some of them, or all: the training has published them."""
    log = Log(*records_of(learnable(ROWS)))
    record, found = trained(log)
    log.cluster.truncate(OUTCOMES, 0, low)
    done = again(log, record, found)
    assert done.same
    assert done.differs == ()


def test_rows_that_are_nowhere_any_more_are_told() -> None:
    """Of a training whose rows were never published, or whose artifacts are gone."""
    log = Log(*records_of(learnable(ROWS)))
    record, found = trained(log)
    log.cluster.truncate(OUTCOMES, 0, 3)
    lineage = {name: text for name, text in found.manifest.lineage.items() if name != ROWS_LISTED}
    before = replace(found, manifest=found.manifest.model_copy(update={"lineage": lineage}))
    with pytest.raises(RowsExpiredError, match=r"rows 0 to 1,200, .* which only goes back to row 300"):
        again(log, record, before)
    log.cluster.truncate("freshet.artifacts", 0, 3)
    with pytest.raises(RowsExpiredError, match="nor are they among the artifacts: the artifacts topic does not hold"):
        again(log, record, found)


def test_scores_that_agree_are_told_apart_from_others() -> None:
    """On another machine the bytes may differ, and the answers agree."""
    told = Reproduction("t", "a", "b", 1e-8, ("environment",)).sentence
    assert "the scores of its golden rows agree to 1e-06. The reason: this machine has other libraries" in told
