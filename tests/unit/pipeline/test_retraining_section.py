"""The section `retraining`: parts by their kind, each mistake on its line with what there is instead."""

import pytest

from freshet.pipeline import PipelineError, PipelineSpec
from freshet.retraining.core.triggers.age import AgeTrigger
from freshet.retraining.core.triggers.alarm import AlarmTrigger
from freshet.retraining.core.triggers.asked import CommandTrigger
from freshet.retraining.core.triggers.grown_log import RowsTrigger
from freshet.retraining.core.triggers.schedule import ScheduleTrigger

BEFORE = """
pipeline: p
entity: card
event_id: event_id
event_time: at
features: {version: 1, columns: [{kind: field, of: amount}]}
target: {classes: [legit, fraud]}
slices: [{name: large, feature: amount, min: 1}]
"""


def parsed(section: str, before: str = BEFORE) -> PipelineSpec:
    """A pipeline with this section."""
    return PipelineSpec.parse(f"{before}retraining: {section}\n")


def test_whole_section_is_read() -> None:
    """Every key and every kind of trigger."""
    found = parsed(
        "{trainer: {kind: logistic-regression}, min_rows: 500, max_rows: 9000, cool_down_rows: 100, most_per_day: 4, "
        "triggers: [{kind: alarm, suspected: 3}, {kind: rows, every: 5000}, {kind: age, after: 7d}, "
        '{kind: schedule, at: "03:00"}, {kind: command}], holdout: 0.3, seed: 5, approval: required, '
        "gate: [{metric: accuracy, not_worse_by: 0.01}, {metric: accuracy, slice: large, at_least: 0.5}]}"
    ).retraining
    kinds = [type(trigger) for trigger in found.triggers]
    assert kinds == [AlarmTrigger, RowsTrigger, AgeTrigger, ScheduleTrigger, CommandTrigger]
    assert (found.trainer.kind, found.approval, found.gate[1].slice) == ("logistic-regression", "required", "large")


def test_without_the_section_only_a_command_trains() -> None:
    """By boosted trees; nothing happens that nobody asked for."""
    found = PipelineSpec.parse(BEFORE).retraining
    assert (found.triggers, found.gate, found.trainer.kind) == ((), (), "hist-gradient-boosting")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{trainer: {kind: hist}}", "retraining.trainer.kind: unknown kind 'hist'. Known are command"),
        ("{trainer: {iterations: 5}}", "retraining.trainer: needs a `kind`: one of command, hist-gradient-boosting"),
        ("{trainer: {kind: hist-gradient-boosting, leafs: 5}}", "unknown key 'leafs'. Did you mean 'leaves'?"),
        ("{triggers: [{kind: row, every: 1}]}", "retraining.triggers[0].kind: unknown kind 'row'. Did you mean 'rows'"),
        ("{triggers: [{kind: rows, each: 1}]}", "retraining.triggers[0].each: unknown key 'each'"),
        ('{triggers: [{kind: schedule, at: "24:00"}]}', "retraining.triggers[0].at"),
        ("{triggers: [{kind: age, after: 0d}]}", "retraining.triggers[0].after"),
        ("{min_rows: 50, max_rows: 40}", "min_rows: 50 is above max_rows 40"),
        (
            "{gate: [{metric: acuracy, at_least: 1}]}",
            "gate[0].metric: unknown metric 'acuracy'. Did you mean 'accuracy'",
        ),
        ("{gate: [{metric: mae, at_most: 1}]}", "gate[0].metric: unknown metric 'mae'"),
        ("{gate: [{metric: auc, slice: big, at_least: 1}]}", "gate[0].slice: unknown slice 'big'"),
        ("{gate: [{metric: auc}]}", "gate[0]: needs exactly one of"),
        ("{gate: [{metric: auc, at_least: 0, at_most: 1}]}", "gate[0]: needs exactly one of"),
        ("{gate: [{metric: auc, at_least: 1}], holdout: 0}", "a gate needs rows to try the model on"),
    ],
)
def test_mistake_is_told_on_its_line_with_what_to_do(section: str, message: str) -> None:
    """`pipeline check` and `apply` say it before anything is trained."""
    with pytest.raises(PipelineError) as raised:
        parsed(section)
    assert message in str(raised.value)
    assert "pipeline.yaml:9:" in str(raised.value)


def test_trainer_must_be_able_to_predict_the_target() -> None:
    """Those that can are named."""
    number = BEFORE.replace("target: {classes: [legit, fraud]}", "target: {kind: value}")
    with pytest.raises(PipelineError, match=r"logistic-regression cannot predict a number; .*hist-gradient-boosting"):
        parsed("{trainer: {kind: logistic-regression}}", number)
    with pytest.raises(PipelineError, match="Known are mae, rmse, r2"):
        parsed("{gate: [{metric: accuracy, at_least: 1}]}", number)
