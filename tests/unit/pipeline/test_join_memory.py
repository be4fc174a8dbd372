"""What joining labels takes of memory is known before anything is published."""

from pathlib import Path

from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.contracts.shipped import pipelines_dir
from freshet.drift.core.join.join_rows import MARK, prediction_type
from freshet.pipeline import PipelineSpec
from freshet.pipeline.join_memory import GROWTH, ROW_BYTES, SCORE_BYTES, join_memory_bytes

LOANS = pipelines_dir() / "loans"


def test_the_estimate_counts_what_the_join_holds() -> None:
    """Rows of nine days, with their marks and their places in the index, in tables that double."""
    row = prediction_type(2).itemsize + MARK.itemsize + 28
    assert row == ROW_BYTES + 2 * SCORE_BYTES
    spec = PipelineSpec.parse((LOANS / "pipeline.yaml").read_text())
    assert join_memory_bytes(spec, 1.0) == int(9 * 86_400 * row * GROWTH)


def test_check_says_the_memory_and_refuses_the_impossible(tmp_path: Path) -> None:
    """With the rate that it assumes, and how to say another."""
    for name in ("pipeline.yaml", "event.avsc"):
        (tmp_path / name).write_text((LOANS / name).read_text())
    said = CliRunner().invoke(app, ["pipeline", "check", str(tmp_path)])
    assert said.exit_code == 0
    words = " ".join(said.output.split())
    assert "`drift-join` takes some 1.7 MiB, over all its workers, for each 10,000 predictions" in words
    assert "It may come for 9 days" in words
    assert "10 events/s all the time (--events-per-s) end at 1,299 MiB." in words
    refused = CliRunner().invoke(app, ["pipeline", "check", str(tmp_path), "--events-per-s", "100000"])
    assert refused.exit_code == 4
    assert "12684 GiB of open predictions" in refused.output
