"""Input columns by name: append-only specifications, and rows that are older than a model."""

from collections.abc import Sequence

import numpy as np

from freshet.avro import Ragged
from freshet.contracts.logic import DeadLetter
from freshet.models.input_columns import FeatureSpace, Selected
from support.inference import (
    FEATURES,
    Worker,
    answers,
    cuts,
    dead,
    held,
    manifest,
    model,
    of_kind,
    rollout,
    specification,
    vector,
)

NEW = (*FEATURES, "device")


def _ragged(*rows: list[float]) -> Ragged:
    return Ragged(np.array([value for row in rows for value in row], np.float32), np.array([len(row) for row in rows]))


def _selected(features: Sequence[str], inputs: Sequence[str], values: Ragged) -> Selected:
    columns = FeatureSpace(features).inputs_of(manifest("v1", inputs=tuple(inputs)))
    assert columns is not None
    return columns.select(values)


def test_rows_that_are_exactly_the_inputs_are_not_copied() -> None:
    """The identity selection costs nothing."""
    values = _ragged([1, 2, 3], [4, 5, 6])
    selected = _selected(FEATURES, FEATURES, values)
    assert np.shares_memory(selected.matrix, values.flat)


def test_inputs_are_picked_by_name_in_the_models_order() -> None:
    """From vectors of any specification that has them, in the order of the rows."""
    values = _ragged([1, 2, 3], [4, 5, 6, 7], [8, 9, 10])
    selected = _selected(NEW, ("country", "amount"), values)
    assert selected.matrix.tolist() == [[3, 1], [6, 4], [10, 8]]
    assert selected.rows.tolist() == [0, 1, 2]
    assert selected.lacking.size == 0


def test_rows_that_lack_an_input_are_told_apart() -> None:
    """Whether a row has a column depends on the row alone."""
    values = _ragged([1, 2, 3], [4, 5, 6, 7], [8, 9, 10])
    selected = _selected(NEW, ("device",), values)
    assert selected.matrix.tolist() == [[7]]
    assert selected.rows.tolist() == [1]
    assert selected.lacking.tolist() == [0, 2]


def _worker(understudy: str = "", slow: tuple[str, ...] = ()) -> Worker:
    """v1 reads the old columns, v2 a new one; both specifications are on the topic."""
    worker = Worker(slow=set(slow))
    worker.learn(specification(), specification(NEW, number=2), model("v1"), model("v2", inputs=NEW))
    worker.learn(rollout(1, "v2", understudy=understudy))
    worker.settle()
    worker.assign(p0="e=0 f=0", p1="e=0 f=0")
    return worker


def test_an_old_model_serves_from_a_new_specification() -> None:
    """Specification 2 can flow before any model needs it."""
    worker = _worker()
    worker.learn(rollout(2, "v1"))
    worker.settle()
    effects = worker.answer(vector(0, 0), vector(0, 1, [1, 2, 3, 4], spec_version=2))
    assert [a.version for a in answers(effects)] == ["v1", "v1"]
    assert worker.scorers["v1"].asked[0].shape == (2, 3)


def test_rows_older_than_the_model_go_to_the_understudy_in_order() -> None:
    """A function of the row; the partition's position does not change, and the order within it is kept."""
    worker = _worker(understudy="v1")
    effects = worker.answer(vector(0, 0), vector(0, 1, [1, 2, 3, 4], 2), vector(0, 2), vector(1, 0, [1, 2, 3, 4], 2))
    found = [(a.partition, a.offset, a.version, a.fallback) for a in answers(effects)]
    assert found == [(0, 0, "v1", 0), (0, 1, "v2", 0), (0, 2, "v1", 0), (1, 0, "v2", 0)]
    assert {cut[2:4] for cut in cuts(effects)} == {(1, 0)}


def test_rows_older_than_the_model_are_set_aside_where_nobody_else_can_answer() -> None:
    """No understudy: the rows end as dead letters, the others are answered."""
    worker = _worker()
    effects = worker.answer(vector(0, 0), vector(0, 1, [1, 2, 3, 4], 2))
    assert dead(effects) == {"input_spec_too_old": [0]}
    assert [letter.model_version for letter in of_kind(effects, DeadLetter)] == ["v2"]
    assert [a.offset for a in answers(effects)] == [1]


def test_rows_older_than_the_model_wait_for_an_understudy_that_is_not_loaded() -> None:
    """Only their partition waits; and not for ever: after the wait they are set aside."""
    worker = _worker(understudy="v1", slow=("v1",))
    effects = worker.answer(vector(0, 0), vector(1, 0, [1, 2, 3, 4], 2))
    assert held(effects) == [0]
    assert [(a.partition, a.version) for a in answers(effects)] == [(1, "v2")]
    worker.tick()
    assert 0 in worker.waiting
    worker.tick(30_000)
    assert 0 not in worker.waiting
    worker.assign(p0="e=0 f=0")
    assert dead(worker.answer(vector(0, 0))) == {"input_spec_too_old": [0]}


def test_who_was_given_up_is_waited_for_again_once_it_has_come() -> None:
    """The model came after all; that its understudy is still on the way is another wait, with a time of its own."""
    worker = _worker(understudy="v1", slow=("v2", "v1"))
    worker.tick(30_000)
    worker.tick(30_000)
    worker.finish()
    worker.slow.add("v1")
    worker.tick()
    assert worker.loads == ["v2", "v1"]
    effects = worker.answer(vector(0, 0), vector(1, 0, [1, 2, 3, 4], 2))
    assert dead(effects) == {}
    assert held(effects) == [0]
