"""`freshet verify` of drift from real bytes, in memory and on a real Kafka."""

from freshet.operate.verify.drift.drift_judge import DriftJudgement, judge_drift
from freshet.operate.verify.visible import Patience
from support.buses import KafkaWorld, MemoryWorld, bus_world
from support.drift_story import PIPELINE, Story

__all__ = ["bus_world"]


def test_what_a_lost_record_of_the_labelled_log_held_is_named(bus_world: MemoryWorld | KafkaWorld) -> None:
    """No topic is there at first, then nothing of drift's; then all that was joined but one record."""
    assert judge_drift(bus_world.bus, PIPELINE, lambda *_: {}, patience=Patience(0.0)) == DriftJudgement()
    story = Story(bus_world)
    story.ask(["a", "b", "a"])
    story.tell([("a", 0, "bad"), ("nobody", 0, "ok")])
    assert story.judged().warnings[0].startswith("No drift service has run")
    story.join()
    story.tell([("b", 0, "ok"), ("a", 1, "ok")])
    story.join()
    story.ask(["c"])
    lost = story.outcomes.pop(1)
    story.write_log()
    story.write_said()
    judgement = story.judged(scores=10)
    broken = {finding.check for finding in judgement.findings if not finding.ok}
    assert broken == {
        "the labelled log has each row once",
        "rows and minutes are as many as the counts say",
        "labels meet their predictions",
    }
    assert (lost.rows, judgement.unread) == (1, 1)
