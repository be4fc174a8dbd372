"""Evaluation as a follower: whatever happens to its process, it says what one says that nothing ever happened to."""

from collections.abc import Sequence

import numpy as np
import pytest

from freshet.avro.control import encode
from freshet.contracts.batch import read_headers
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Outcomes
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.pipeline import PipelineSpec
from freshet.quality.fold import evaluations
from freshet.quality.setting import setting_of
from freshet.runtime.bus.memory import STEPS, SimulatedCrash, Step
from freshet.runtime.reading import everything
from support.evaluating import NAMES, Evaluating, pipeline_record
from support.outcomes import cut, record_of, rows_of

ENDS = range(120, 3000, 120)


def log_rows() -> OutcomeRows:
    """3,000 rows of two versions over some minutes."""
    rng = np.random.default_rng(11)
    return rows_of(
        3000,
        predicted_ms=np.arange(3000) * 120,
        labelled_ms=np.arange(3000) * 120 + rng.integers(0, 9000, 3000),
        versions=("1.0.0", "1.1.0"),
        version=np.arange(3000) // 1700,
        label=rng.integers(0, 2, 3000),
        answer=rng.integers(0, 2, 3000),
        values=rng.random((3000, 2)).astype(np.float32),
    )


def expected(records: Sequence[Outcomes]) -> list[Evaluation]:
    """What a recomputation from the log says."""
    return list(evaluations(enumerate(records), {1: setting_of(PipelineSpec.parse(pipeline_record().spec))}))


def world() -> Evaluating:
    """With the pipeline published."""
    made = Evaluating()
    made.apply(pipeline_record())
    return made


def test_the_evaluations_are_those_of_a_recomputation() -> None:
    """Each once, in order."""
    evaluating, records = world(), cut(log_rows(), *ENDS)
    evaluating.log(records)
    evaluating.turn(evaluating.worker())
    said = evaluating.said()
    assert {one.series for one in said} >= {"served", "version:1.0.0", "slice:big", "baseline:majority"}
    assert said == expected(records)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at_commit", [1, 2, 5])
def test_a_crash_at_any_step_of_any_commit_loses_nothing_and_repeats_nothing(step: Step, at_commit: int) -> None:
    """The successor goes on from the checkpoint and the log."""
    evaluating, records = world(), cut(log_rows(), *ENDS)
    evaluating.log(records)
    seen = 0

    def crash(reached: Step, transactional_id: str) -> None:
        nonlocal seen
        seen += reached == step
        if reached == step and seen == at_commit:
            raise SimulatedCrash

    evaluating.cluster.failpoint = crash
    with pytest.raises(SimulatedCrash):
        evaluating.turn(evaluating.worker())
    evaluating.cluster.failpoint = None
    evaluating.turn(evaluating.worker(), times=60)
    assert evaluating.said() == expected(records)


def test_a_commit_that_was_refused_never_was() -> None:
    """The rows come again, and count once."""
    evaluating, records = world(), cut(log_rows(), *ENDS)
    loop = evaluating.worker()
    evaluating.log(records[:7])
    evaluating.turn(loop)
    evaluating.cluster.disconnect()
    evaluating.log(records[7:])
    evaluating.turn(loop, times=60)
    assert evaluating.said() == expected(records)


def test_a_record_under_a_number_that_is_not_known_yet_waits_for_it() -> None:
    """It has other slices: a guess would be another evaluation."""
    evaluating = world()
    loop = evaluating.worker()
    evaluating.log([record_of(rows_of(250, values=np.ones((250, 2), np.float32)), number=2)])
    evaluating.turn(loop)
    assert evaluating.said() == []
    assert "number 2 of the pipeline, which is not on the pipelines topic" in (loop.unready() or "")
    evaluating.apply(pipeline_record(2, "{name: other, feature: b, min: 0.5}"))
    evaluating.turn(loop)
    assert [one.series for one in evaluating.said()] == ["served", "version:1.0.0", "slice:other"]
    assert loop.unready() is None


def test_a_gap_in_the_log_is_held_with_a_sentence() -> None:
    """What follows counts from where it ends: to pass over it would be wrong for ever."""
    evaluating, records = world(), cut(log_rows(), *ENDS)
    loop = evaluating.worker()
    evaluating.log(records[:1])
    evaluating.turn(loop)
    evaluating.log(records[2:])
    evaluating.turn(loop)
    assert "records of the log are missing" in (loop.unready() or "")
    assert evaluating.said() == expected(records[:1])


def test_what_a_stranger_wrote_is_set_aside_and_the_log_goes_on() -> None:
    """Torn, foreign, empty or of another pipeline: records say what lies before them."""
    evaluating, records = world(), cut(log_rows(), *ENDS)
    loop, whole = evaluating.worker(), encode(records[1])
    strange: list[bytes | None] = [
        None,
        b"",
        b"no record of ours",
        whole[:-5],
        whole[:9] + b"\xff" * 30,
        b"\x00" + (77).to_bytes(4, "big") + whole[5:],
        encode(records[1].model_copy(update={"pipeline": "q"})),
        encode(records[1].model_copy(update={"rows": 7})),
        encode(records[1].model_copy(update={"versions": ()})),
        encode(pipeline_record()),
    ]
    for at, record in enumerate(records):
        if at < 3:
            evaluating.raw(*strange)
        evaluating.log([record])
    evaluating.turn(loop, times=60)
    assert loop.unready() is None
    assert evaluating.said() == placed(expected(records), [10, 21, 32, *range(33, 63)])
    letters = [record for batch in everything(evaluating.bus, "dead-letters") for record in batch.records]
    assert len(letters) == 3 * len(strange)
    assert {dict(read_headers(letter) or ())["freshet.reason"] for letter in letters} == {b"input_malformed"}
    loop.close()
    evaluating.forget_offsets()
    evaluating.forget_checkpoints()
    again = evaluating.worker()
    evaluating.turn(again, times=60)
    assert again.unready() is None
    assert evaluating.said() == placed(expected(records), [10, 21, 32, *range(33, 63)])


def placed(said: Sequence[Evaluation], offsets: Sequence[int]) -> list[Evaluation]:
    """The same, where record n of the log lies at the n-th of these offsets."""
    return [one.model_copy(update={"through": offsets[one.through]}) for one in said]


@pytest.mark.parametrize("keeps", ["checkpoint", "nothing"])
def test_lost_offsets_are_found_again_from_what_was_said(keeps: str) -> None:
    """The group was away too long for the broker: nothing is said twice, whether a checkpoint is there or not."""
    evaluating, records = world(), cut(log_rows(), *ENDS)
    first = evaluating.worker()
    evaluating.log(records[:9])
    evaluating.turn(first)
    first.close()
    evaluating.forget_offsets()
    if keeps == "nothing":
        evaluating.forget_checkpoints()
    evaluating.log(records[9:])
    evaluating.turn(evaluating.worker(), times=60)
    assert evaluating.said() == expected(records)


def test_a_log_made_anew_is_evaluated_from_its_beginning() -> None:
    """An evaluation says of which log its place is: one in the old log says nothing of the new one's rows."""
    evaluating, records = world(), cut(log_rows(), *ENDS)
    first = evaluating.worker()
    evaluating.log(records)
    evaluating.turn(first)
    first.close()
    evaluating.cluster.remake_topic(NAMES.topic("outcomes"))
    evaluating.log(records)
    evaluating.turn(evaluating.worker(), times=60)
    assert evaluating.said() == [*expected(records), *expected(records)]


def test_a_second_process_goes_on_where_the_first_one_ends() -> None:
    """From the checkpoint that rode with the first one's offsets."""
    evaluating, records = world(), cut(log_rows(), *ENDS)
    first = evaluating.worker()
    evaluating.log(records[:9])
    evaluating.turn(first)
    first.close()
    evaluating.log(records[9:])
    evaluating.turn(evaluating.worker(), times=60)
    assert evaluating.said() == expected(records)
