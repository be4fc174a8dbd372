"""A stream served in steps: which labels each step sends, and when a training is waited for."""

from pathlib import Path
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest

from freshet.lab.demo import stepwise
from freshet.lab.demo.stepwise import STEP_EVENTS, Cadence, rows_between, serve_in_steps
from freshet.lab.demo.stream_folder import name_of, with_retraining
from freshet.operate.tables.events import Events
from freshet.operate.tables.scaffold import infer_pipeline
from freshet.pipeline import PipelineSpec

_ROWS = [[str(n % 7), "xy"[n % 2]] for n in range(60)]
_GUESS = infer_pipeline("two", ["size", "late"], _ROWS, "late").pipeline
_EVERY = 600


def spec_of(every: int) -> PipelineSpec:
    """What `--retrain` makes of a guessed pipeline."""
    return PipelineSpec.parse(with_retraining(_GUESS, every))


@pytest.mark.parametrize("labels_after", [0, 300, 5_000])
def test_each_label_is_sent_once_behind_its_answer_and_as_late_as_asked(
    labels_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last ones come at the end; labels that are not known are never waited for."""
    rows = 4 * STEP_EVENTS + 70
    ids = [f"e{row}" for row in range(rows)]
    unknown = ids[3]
    events = Events(
        {"event_id": np.array(ids, object), "row": np.arange(rows)},
        ["" if one == unknown else "x" for one in ids],
    )
    done: list[tuple[str, int]] = []
    book = Mock(log=[])
    book.__enter__ = lambda _: book
    book.__exit__ = lambda *_: None
    book.wait_answered = lambda count: done.append(("answered", count))
    book.wait_labelled = lambda known: done.append(("labelled", len(known)))
    load = Mock()
    load.publish = iter
    load.owe_labels = lambda part: done.append(("due", len(part)))
    monkeypatch.setattr(stepwise, "AnswerBook", lambda *_: book)
    monkeypatch.setattr(stepwise, "plain", lambda column: column.tolist())
    deployment = Mock(spec=["load", "bus", "spec", "view"])
    deployment.load.return_value, deployment.spec = load, spec_of(0)
    sent = serve_in_steps(deployment, Mock(), events, labels_after, heard=lambda: None)
    due, answered = 0, 0
    for what, count in done:
        if what == "answered":
            answered = count
        if what == "due":
            due += count
            assert due <= max(0, answered - labels_after) or answered == rows
    assert (sent.events, due, done[-1]) == (rows, rows, ("labelled", rows - 1))


def test_a_training_is_waited_for_at_each_multiple_of_the_rows() -> None:
    """Also where the log passes it within a step; what is refused holds the stream no longer."""
    deployment, narrator = Mock(), MagicMock()
    deployment.spec = spec_of(_EVERY)
    cadence = Cadence(deployment, narrator)
    passed = Mock(version="1.1.0")
    passed.last.configure_mock(phase="finished", gate="pass", metrics={}, from_row=0, cut_row=1, cpu_ms=1)
    passed.model.state = "admitted"
    failed = Mock(
        version="1.2.0", last=Mock(phase="finished", gate="fail", metrics={}, from_row=0, cut_row=1, cpu_ms=1)
    )
    deployment.wait_live.return_value = Mock(epoch=2)
    watch = Mock()
    watch.wait_end.side_effect = [passed, failed]
    cadence._watch = watch
    for rows in range(250, 1_501, 250):
        cadence.at(rows)
    assert [call.args for call in watch.wait_end.call_args_list] == [(0,), (1,)]
    assert [call.args for call in deployment.wait_live.call_args_list] == [("1.1.0",)]
    assert [call.args for call in deployment.wait_reached.call_args_list] == [(2,)], "no row is the older version's"


def test_the_folder_says_when_a_model_is_trained() -> None:
    """One partition, so that the log has one order; without a number no trigger; each has a folder of its own."""
    spec = spec_of(_EVERY)
    assert (spec.partitions, spec.rollout.policy, rows_between(spec)) == (1, "gated", _EVERY)
    assert [clause.metric for clause in spec.retraining.gate] == ["accuracy"]
    assert spec.limits.batch_p99_ms >= 60_000, "no clock of a busy machine refuses a model"
    never = spec_of(0)
    assert (never.partitions, rows_between(never), never.retraining.triggers) == (1, 0, ())
    numbers = infer_pipeline("two", ["size", "price"], [[str(n % 7), f"{n}.5"] for n in range(60)], "price").pipeline
    value = PipelineSpec.parse(with_retraining(numbers, _EVERY))
    assert [clause.metric for clause in value.retraining.gate] == ["mae"]
    table = Path("A table.csv.gz")
    assert [name_of(table, every) for every in (None, 0, 500)] == ["a-table", "a-table-never", "a-table-every-500"]
