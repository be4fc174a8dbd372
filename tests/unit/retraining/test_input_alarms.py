"""An alarm about features or answers starts no training, unless the pipeline's trigger says so."""

from freshet.pipeline.trigger import Seen
from freshet.retraining.core.triggers.alarm import AlarmTrigger
from support.retraining import alarm

INPUTS = [alarm("a1", watched="features"), alarm("a2", watched="answers", cause="own_rollout")]
LABELS = alarm("a3")


def test_what_is_different_need_not_be_worse() -> None:
    """By default only alarms of the labelled log are occasions, whatever came between them."""
    found = AlarmTrigger().occasions(Seen(now_ms=0, alarms=[*INPUTS, LABELS]))
    assert [one.id for one in found] == ["a3"]
    doubts = [alarm("s1", level="suspected"), INPUTS[0], alarm("s2", level="suspected")]
    assert [one.id for one in AlarmTrigger(suspected=2).occasions(Seen(now_ms=0, alarms=doubts))] == ["s2"]


def test_a_pipeline_may_ask_for_it() -> None:
    """Their rows are none of the labelled log's, and our own rollout is no reason to train."""
    newest, oldest = AlarmTrigger(inputs=True).occasions(Seen(now_ms=0, alarms=INPUTS))
    assert (oldest.id, oldest.from_row, oldest.end_row, oldest.objection) == ("a1", 0, 0, "")
    assert newest.objection
