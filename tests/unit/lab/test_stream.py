"""What `freshet stream` does with its rows, without any broker."""

import threading
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from freshet.lab.demo.served_table import held
from freshet.lab.demo.stream_folder import folder_for
from freshet.lab.demo.streaming import row_before
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.events import Events
from freshet.operate.tables.new_pipeline import Roles


def rows(*labels: str) -> Events:
    """Events with these labels."""
    return Events({"x": np.arange(len(labels))}, list(labels))


def test_the_stream_is_held_half_way_until_the_second_model_is_live() -> None:
    """So the second half is the second model's, however short the table is."""
    arrived: list[str] = []
    at_the_gate: list[str] = []

    class Gate(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            at_the_gate.extend(arrived)
            return True

    for events in held([rows("a", "b", "c"), rows("d", "e")], 2, Gate()):
        arrived += events.labels or []
    assert at_the_gate == ["a", "b"]
    assert arrived == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("labels", "classes", "worth"),
    [
        (("no", "no", "", "yes", "yes"), True, "66.7% right"),
        (("1", "3", "", "3.5"), False, "MAE / RMSE 1.25 / 1.458"),
        (("no", ""), True, "gives –"),
        ((), False, "gives –"),
    ],
)
def test_repeating_the_row_before_is_a_baseline(labels: tuple[str, ...], classes: bool, worth: str) -> None:
    """Rows without a label are passed over."""
    assert worth in row_before(rows(*labels), classes=classes)


def test_a_kept_folder_serves_its_own_label_and_columns_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new label would be a feature of the kept pipeline, and every answer right."""
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "two.csv"
    body = "".join(f"{n % 7}.5,{'ab'[n % 2]},{'xy'[n % 3 == 0]}\n" for n in range(60))
    table.write_text("size,paid,late\n" + body)

    def folder(label: str, name: str = "two") -> Path:
        return folder_for(table, label, Roles(), name, Mock())

    kept = folder("paid")
    assert folder("paid") == kept == Path(".local/pipelines/two")
    with pytest.raises(OperateError, match=r"pipelines/two was made for the label 'paid': remove it, .* --name"):
        folder("late")
    assert folder("late", "three") != kept
    (kept / "made_from.json").rename(tmp_path / "made_from.json")
    with pytest.raises(OperateError, match=r"was made for another label: .*'late' is a field"):
        folder("late")
    (tmp_path / "made_from.json").rename(kept / "made_from.json")
    table.write_text("length,paid,late\n" + body)
    with pytest.raises(OperateError, match=r"was made of a table without 'length', with 'size': remove it"):
        folder("paid")
