"""A folder that is not there, or not the right one: the one that was meant is named."""

from pathlib import Path

import pytest

from freshet.lab.up.service_run import pipeline_folders
from freshet.operate.operate_error import OperateError
from freshet.operate.target import target
from freshet.pipeline import PipelineError, load_checked
from freshet.pipeline.near_folders import did_you_mean


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With `loans`, and `all/wind` and `all/rain`; paths in it are written without it, as a user does."""
    for name in ("loans", "all/wind", "all/rain"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "pipeline.yaml").write_text("pipeline: p\n")
    (tmp_path / "loans/tests").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("loan", "loans"),
        ("Loans", "loans"),
        ("all", "all/rain or all/wind"),
        ("all/rian", "all/rain"),
        ("wind", "all/wind"),
        ("loans/tests", "loans"),
        ("loans/pipeline.yaml", "loans"),
        (".", "loans"),
        ("elsewhere/far", ""),
        ("snow", ""),
    ],
)
def test_the_folder_that_may_be_meant_is_named(home: Path, named: str, meant: str) -> None:
    """One of a name like it, in it, around it, or elsewhere under the same name; nothing far-fetched."""
    assert did_you_mean(Path(named)) == (f" Did you mean {meant}?" if meant else "")


def test_whoever_reads_a_folder_says_so(home: Path) -> None:
    """`apply`, `check` and `test` read one; `up` also a folder of folders; others take a published name, too."""
    with pytest.raises(PipelineError, match=r"loan/pipeline\.yaml: is not there\. Did you mean loans\?"):
        load_checked(Path("loan"))
    with pytest.raises(OperateError, match=r"and no folder with one\. Did you mean loans\?"):
        pipeline_folders(Path("loan"))

    def nowhere() -> None:
        raise OperateError("no Kafka is named.", "unreachable")

    with pytest.raises(OperateError, match=r"^there is .* Did you mean loans\? .*: no Kafka is named\.$") as refused:
        target("loan", nowhere)  # type: ignore[arg-type]
    assert refused.value.meaning == "unreachable"
