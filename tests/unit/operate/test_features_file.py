"""Where `freshet pipeline features` may write."""

from pathlib import Path

import pytest

from freshet.operate.operate_error import OperateError
from freshet.operate.tables.features import refuse_other
from freshet.operate.tables.scaffold import template
from freshet.pipeline import PipelineSpec


def test_a_file_of_another_kind_is_kept(tmp_path: Path) -> None:
    """Also one whose first cell is longer than any csv has: that was a bug of Freshet's."""
    other = tmp_path / "picture"
    other.write_bytes(bytes(200_000))
    with pytest.raises(OperateError, match="holds something else than features"):
        refuse_other(other, PipelineSpec.parse(template("loans")[0]))
