"""The demo's own copy of the shipped pipeline."""

from pathlib import Path

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo.loans import folder_with_retraining
from freshet.pipeline import load_checked


def test_the_demo_s_pipeline_answers_alarms_and_is_else_the_shipped_one(tmp_path: Path) -> None:
    """An alarm leads to a training, and what passes the gate answers; a second demo finds the same folder."""
    shipped, _, schema = load_checked(pipelines_dir() / "loans")
    for _ in range(2):
        folder = folder_with_retraining(pipelines_dir() / "loans", tmp_path / "loans-demo")
        spec, _, same = load_checked(folder)
        assert same == schema
        assert [trigger.kind for trigger in spec.retraining.triggers] == ["alarm"]
        assert [clause.metric for clause in spec.retraining.gate] == ["accuracy", "calibration_error"]
        assert spec.rollout.policy == "gated"
    assert spec.model_copy(update={"retraining": shipped.retraining, "rollout": shipped.rollout}) == shipped
