"""How many classes a pipeline may have, and what it is told that has more."""

from pathlib import Path

import numpy as np
import pytest

from freshet.avro.control import encode
from freshet.contracts.shipped import pipelines_dir
from freshet.pipeline import PipelineError, PipelineSpec, load_checked
from freshet.pipeline.class_count import class_problem
from freshet.quality.counts import Counts
from freshet.runtime.record_caps import KAFKAS_CAP_BYTES
from freshet.runtime.record_size import lone_batch_bytes


def names(count: int, letters: int = 6) -> tuple[str, ...]:
    """So many classes."""
    return tuple(f"{at:0{letters}}" for at in range(count))


@pytest.mark.parametrize("letters", [3, 40, 1000])
def test_the_evaluation_of_as_many_classes_as_there_may_be_fits_into_a_record(letters: int) -> None:
    """With every pair counted, and many versions and epochs in it."""
    most = next(count for count in range(400, 0, -1) if not class_problem(names(count, letters)))
    assert most >= (350 if letters < 1000 else 280)
    counts = Counts(
        10**9,
        np.full((most, most), 10**9),
        np.full((2, 64), 10**9),
        np.ones(5),
        {f"1.{at}.0": 10**6 for at in range(50)},
        tuple(range(10**6, 10**6 + 1000)),
        0,
        10**9,
        0,
        10**12,
    )
    record = counts.evaluation("p" * 40, "version:1.2.3", "closed", through=10**9, classes=names(most, letters))
    assert lone_batch_bytes(b"p" * 40, encode(record), None) < KAFKAS_CAP_BYTES
    assert class_problem(names(most + 1, letters))


def test_a_folder_with_more_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """`apply`, `pipeline check` and all that read a folder say it, with the line; what is published stays readable."""
    folder = pipelines_dir() / "loans"
    text = (folder / "pipeline.yaml").read_text()
    assert "approved, declined" in text
    text = text.replace("approved, declined", ", ".join(f"c{at}" for at in range(400)))
    (tmp_path / "pipeline.yaml").write_text(text)
    (tmp_path / "event.avsc").write_text((folder / "event.avsc").read_text())
    with pytest.raises(PipelineError) as refused:
        load_checked(tmp_path)
    (problem,) = refused.value.problems
    assert problem.line > 0
    assert problem.message == (
        "target.classes: 400 classes are too many: an evaluation counts each pair of truth and answer in one record, "
        "which has room for 356 with such names. Put rare ones together, as `other`, in the labels as well, or make "
        "pipelines of parts of them."
    )
    (tmp_path / "pipeline.yaml").write_text(text.replace("entity:", "entty:"))
    with pytest.raises(PipelineError, match="400 classes are too many"):
        load_checked(tmp_path)  # also where something else is wrong
    assert len(PipelineSpec.parse(text).target.classes) == 400
