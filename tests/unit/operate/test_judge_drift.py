"""`freshet verify` of drift: a sound history is no breach, and each kind of breach is found."""

from typing import Any

import pytest

from freshet.avro.control import encode
from freshet.operate.verify.drift.drift_judge import DriftJudgement
from freshet.operate.verify.findings import Judgement
from freshet.operate.verify.judgement import passes, sentence
from freshet.runtime.bus.protocol import Place, Send
from support.breaches_of_drift import DRIFT_BREACHES
from support.buses import MemoryWorld
from support.drift_story import MINUTE, PIPELINE, SPEC, Story, good

ALL = 5000
"""More than there are rows: none is left out of the sample."""


def broken(judgement: DriftJudgement) -> dict[str, tuple[str, ...]]:
    """The checks that fail, each with its examples."""
    return {finding.check: finding.examples for finding in judgement.findings if not finding.ok}


def looked_at(judgement: DriftJudgement, check: str) -> int:
    """How much a check looked at."""
    return next(finding.looked_at for finding in judgement.findings if finding.check == check)


def written(story: Story, **but: Any) -> DriftJudgement:
    """The judgement of a story, all of which is written."""
    story.write_log()
    story.write_said()
    return story.judged(**but)


def test_a_sound_history_is_no_breach() -> None:
    """Re-used ids, corrections, labels too early and of nobody: each check looks at something, and nothing is left."""
    judgement = written(good(), scores=50)
    assert broken(judgement) == {}
    assert all(finding.looked_at for finding in judgement.findings)
    assert (judgement.unread, judgement.unjudged, judgement.warnings) == (0, (), ())


@pytest.mark.parametrize("name", DRIFT_BREACHES)
def test_each_kind_of_breach_is_found(name: str) -> None:
    """The checks that are about it fail, and no other."""
    breach, story = DRIFT_BREACHES[name], good()
    if breach.said:
        story.write_log()
        breach.plant(story)
    else:
        breach.plant(story)
        story.write_log()
    story.write_said()
    assert broken(story.judged(scores=ALL)).keys() == breach.found


def test_a_breach_names_the_prediction_and_its_label() -> None:
    """Both are offsets of the partition."""
    story = good()
    DRIFT_BREACHES["another label"].plant(story)
    found = broken(written(story, scores=ALL))
    assert found["labels meet their predictions"] == found["rows follow from a prediction and its labels"]
    assert found["rows say what their labels say"] == ("prediction 0/4",)


def test_a_record_of_a_strangers_is_a_breach() -> None:
    """The rest is judged all the same."""
    story = good()
    story.write_log()
    story.bus.producer().send(Send("outcomes", [b"0"], [b"whatever"], [0]))
    story.write_said()
    offset = len(story.outcomes)
    check = "only Freshet writes the labelled log and what is said of it"
    assert broken(story.judged()) == {check: (f"outcomes 0/{offset}",)}


def test_a_pipeline_without_drift_services_is_no_breach() -> None:
    """It is said that none has run; without labels there is nothing to say."""
    story = Story()
    assert story.judged() == DriftJudgement()
    story.tell([("a", 0, "ok")])
    judgement = story.judged()
    assert (judgement.findings, judgement.unread) == ((), 0)
    assert judgement.warnings[0].startswith("No drift service has run")


def test_the_join_alone_is_judged_alone() -> None:
    """Evaluations and alarms are not waited for where nobody makes them."""
    story = good()
    story.write_log()
    story.committed.clear()
    judgement = story.judged()
    assert (broken(judgement), judgement.unread) == ({}, 0)
    assert [warning.split(" ")[0] for warning in judgement.warnings] == ["drift-evaluate", "drift-detect"]


def test_what_the_join_has_not_read_is_pending_and_not_lost() -> None:
    """Predictions and labels beyond its inputs, also on a partition that it has said nothing of."""
    story = good()
    story.ask(["new-1", "new-2"], 0)
    story.tell([("new-1", 0, "ok")], 1)
    judgement = written(story)
    assert (broken(judgement), judgement.unread) == ({}, 3)
    alone = Story()
    alone.ask(["a"], 0)
    alone.ask(["b"], 1)
    alone.tell([("b", 0, "ok")], 1)
    alone.join(0)
    judgement = written(alone)
    assert (broken(judgement), judgement.unread) == ({}, 2)


def test_what_has_still_to_be_said_is_pending() -> None:
    """Evaluate has taken in the first records only; an evaluation behind them is to come."""
    story = good()
    story.write_log()
    every = story.evaluations
    story.evaluations = [one for one in every if one.through < 6]
    story.committed["drift-evaluate"] = 6
    story.write_said()
    judgement = story.judged()
    assert (broken(judgement), judgement.unread) == ({}, len(every) - len(story.evaluations))
    assert judgement.unread


@pytest.mark.parametrize("roles", [("predictions",), ("labels",), ("predictions", "labels")])
def test_what_retention_took_of_the_inputs_is_not_judged(roles: tuple[str, ...]) -> None:
    """Rows about the oldest predictions are counted and named; all others are judged."""
    story = good(5)
    for role in roles:
        story.world.truncate(Place(role, 0), 80)
    judgement = written(story, scores=ALL)
    assert broken(judgement) == {}
    assert {one.role for one in judgement.unjudged} >= {"predictions", "outcomes"} - {"predictions"}
    whole = written(good(5))
    check = "labels meet their predictions"
    assert 0 < looked_at(judgement, check) < looked_at(whole, check)


def test_a_lost_pair_is_found_where_retention_has_taken_the_oldest() -> None:
    """What is still judged is judged as well as before."""
    story = good(5)
    story.world.truncate(Place("predictions", 0), 80)
    del story.outcomes[[at for at, one in enumerate(story.outcomes) if one.rows > 50][-3]]
    assert "labels meet their predictions" in broken(written(story))


def test_a_labelled_log_without_its_front_is_judged_from_there_on() -> None:
    """Evaluations and alarms count from the beginning, so these are only counted."""
    story = good(5)
    story.write_log()
    story.write_said()
    story.world.truncate(Place("outcomes", 0), 6)
    judgement = story.judged(scores=ALL)
    assert broken(judgement) == {}
    assert {one.role for one in judgement.unjudged} >= {"evaluations", "alarms", "predictions", "outcomes"}
    assert looked_at(judgement, "labels meet their predictions")


def test_evaluations_that_have_expired_are_not_lost() -> None:
    """Those that came before the first one that is left."""
    story = good()
    story.write_log()
    story.world.pass_time(MINUTE)
    story.write_said()
    story.world.truncate(Place("evaluations", 0), 3)
    judgement = story.judged()
    assert broken(judgement) == {}
    assert [(one.role, one.count) for one in judgement.unjudged] == [("evaluations", 3)]


def test_what_was_said_of_an_earlier_labelled_log_is_no_breach() -> None:
    """The pipeline was deleted and came again: evaluations and alarms are on topics that all pipelines share."""
    story, before = good(), good()
    before.write_log()
    story.evaluations, story.alarms = list(before.evaluations), list(before.alarms)
    story.write_said()
    story.evaluations.clear()
    story.alarms.clear()
    story.world.pass_time(10 * MINUTE)
    judgement = written(story)
    assert broken(judgement) == {}
    assert {(one.role, one.count) for one in judgement.unjudged} == {
        ("evaluations", len(before.evaluations)),
        ("alarms", len(before.alarms)),
    }


def test_other_pipelines_are_not_judged() -> None:
    """Their evaluations are on the same topic."""
    story = good()
    story.write_log()
    one = story.evaluations[0].model_copy(update={"pipeline": "other"})
    story.bus.producer().send(Send("evaluations", [b"other"], [encode(one)]))
    story.write_said()
    assert broken(story.judged()) == {}


def test_a_range_is_judged_alone() -> None:
    """Rows about predictions since then; what adds up, evaluations and alarms from the beginning of the log."""
    story = good(5)
    assert isinstance(story.world, MemoryWorld)
    since_ms = story.world.cluster.now_ms - 10 * MINUTE
    judgement = written(story, since_ms=since_ms, scores=ALL)
    assert broken(judgement) == {}
    check = "labels meet their predictions"
    assert 0 < looked_at(judgement, check) < looked_at(story.judged(), check)
    assert looked_at(judgement, "no evaluation is lost") == looked_at(story.judged(), "no evaluation is lost")


def test_a_specification_that_is_gone_is_said_to_hide_what_was_joined_under_it() -> None:
    """Nothing can be called wrong without it."""
    story = good()
    story.write_log()
    story.write_said()
    story.bus.producer().send(Send("pipelines", [f"{PIPELINE}/1".encode()], [None]))
    judgement = story.judged()
    assert broken(judgement) == {}
    assert {one.role for one in judgement.unjudged} >= {"outcomes"}


def test_a_longer_horizon_is_judged_by_the_specification_of_each_record() -> None:
    """Labels that would have been late before are none any more."""
    story = Story()
    story.publish(SPEC.replace("horizon: 10m", "horizon: 30m").replace("absent_after: 8m", "absent_after: 28m"), 2)
    story.ask(["a", "b"])
    story.join()
    story.world.pass_time(12 * MINUTE)
    story.ask(["c", "d"])
    story.tell([("a", 0, "bad"), ("c", 0, "bad")])
    story.join(number=2)
    story.world.pass_time(20 * MINUTE)
    story.tell([("d", 0, "bad"), ("c", 1, "ok")])
    story.join(number=2)
    judgement = written(story)
    assert broken(judgement) == {}
    assert looked_at(judgement, "labels meet their predictions")


def test_a_judgement_with_records_to_read_is_pending_and_says_so() -> None:
    """Nothing is broken, and after --wait it does not pass."""
    inputs = {"events": 1, "feedback": 0, "features": 1}
    judgement = Judgement((), answered=1, dead=0, pending=0, inputs=inputs, judged=2, unread=4)
    assert judgement.verdict == "pending"
    assert "drift's services have 4 records still to read or to write" in sentence(judgement)
    assert (passes(judgement, waited=False), passes(judgement, waited=True)) == (True, False)


@pytest.mark.parametrize("role", ["predictions", "labels"])
def test_a_log_of_a_topic_that_was_made_anew_is_not_judged_by_the_new_one(role: str) -> None:
    """However long the new one is: its offsets are those of other records."""
    story = good()
    written(story)
    story.world.delete_topic(role)
    story.world.make_topics(role)
    for partition in (0, 1):
        if role == "predictions":
            story.ask([f"new-{at}" for at in range(1000)], partition)
        else:
            story.tell([(f"new-{at}", 0, "ok") for at in range(1000)], partition)
    judgement = story.judged(scores=ALL)
    assert broken(judgement) == {}
    assert f"the {role} topic was made anew" in judgement.unjudged[0].why
