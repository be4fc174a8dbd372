"""`freshet verify` of retraining: a loop that has closed is no breach, and each kind of breach is found."""

from typing import Any

import pytest

from freshet.operate.verify.retraining.training_judge import LoopJudgement
from support.breaches_of_retraining import LOOP_BREACHES
from support.loop_story import MINUTE_MS, LoopStory
from support.loop_world import PIPELINE
from support.retraining import alarm

pytestmark = pytest.mark.slow


def broken(judgement: LoopJudgement) -> dict[str, tuple[str, ...]]:
    """The checks that fail, each with its examples."""
    return {finding.check: finding.examples for finding in judgement.findings if not finding.ok}


def test_a_loop_that_has_closed_is_no_breach() -> None:
    """Each check looks at something, and nothing is left."""
    judgement = LoopStory().judged(with_figures=True)
    assert broken(judgement) == {}
    assert all(finding.looked_at for finding in judgement.findings)
    assert (judgement.pending, judgement.unjudged, judgement.warnings) == (0, (), ())


@pytest.mark.parametrize("name", LOOP_BREACHES)
def test_each_kind_of_breach_of_the_loop_is_found(name: str) -> None:
    """The checks that are about it fail, and no other."""
    breach, story = LOOP_BREACHES[name], LoopStory()
    breach.plant(story)
    assert broken(story.judged(with_figures=True)).keys() == breach.found


def test_what_has_no_answer_yet_is_under_way() -> None:
    """A training that has not ended, an alarm that just came; but not one that waits for labels since its change."""
    story = LoopStory()
    story.drop("trainings", -1)
    assert story.judged().pending == 1
    story.drop("trainings", -1)
    judgement = story.judged()
    assert (judgement.pending, broken(judgement)) == (2, {})
    story = LoopStory()
    for role, nth in (("trainings", 3), ("trainings", 2), ("commands", 0)):  # the log is longer than any training
        story.drop(role, nth)
    waits = alarm("a7", (1490, 1500), pipeline=PIPELINE)
    story.add("alarms", waits)
    assert story.judged().pending == 0
    story.add("alarms", waits.model_copy(update={"id": "a8", "test_from": 1000}))
    assert story.judged().pending == 1


def test_an_alarm_behind_a_later_change_that_waits_is_not_under_way() -> None:
    """Retraining learns from no rows of two worlds."""
    story = LoopStory()
    for role, nth in (("trainings", 3), ("trainings", 2), ("commands", 0)):
        story.drop(role, nth)
    story.add("alarms", alarm("a8", (1000, 1500), pipeline=PIPELINE))
    assert story.judged().pending == 1
    story.add("alarms", alarm("a9", (1490, 1500), pipeline=PIPELINE))
    judgement = story.judged()
    assert judgement.pending == 0
    assert "no alarm and no command is passed over" not in broken(judgement)


def test_a_training_that_began_before_the_change_answers_no_alarm_about_it() -> None:
    """Its rows reach as far, but most are of how the world was: the alarm waits for rows of its own."""
    story = LoopStory()
    story.add("alarms", alarm("a8", (1490, 1495), pipeline=PIPELINE))  # the command's training took in rows 0 to 1,500
    judgement = story.judged()
    assert (judgement.pending, broken(judgement)) == (0, {})


def test_a_pipeline_without_retraining_is_told_so_where_somebody_asks_for_it() -> None:
    """Nothing of it is a breach."""
    story = LoopStory()
    story.lines = [line for line in story.lines if line.role in {"pipelines", "outcomes"}]
    assert story.judged() == LoopJudgement()
    story.add("alarms", alarm("a7", (0, 900), pipeline=PIPELINE))
    judgement = story.judged()
    assert (judgement.findings, judgement.pending) == ((), 0)
    assert judgement.warnings[0].startswith("Retraining has not run")


def test_trainings_of_a_log_that_is_gone_are_counted_and_not_judged() -> None:
    """The log was made anew, or retention has taken its front: no row of theirs is there to be looked at."""
    story = LoopStory()
    last_ms = story.lines[-1].at_ms
    story.lines = [line.at(last_ms + MINUTE_MS) if line.role == "outcomes" else line for line in story.lines]
    story.lines.sort(key=lambda line: line.at_ms)
    anew = story.judged(with_figures=True)
    assert broken(anew) == {}
    assert [(one.count, one.why) for one in anew.unjudged] == [(2, "of rows that the labelled log no longer has")]

    def retention(cluster: Any) -> None:
        cluster.truncate("p.outcomes", 0, 1)

    cut = LoopStory().judged(retention=retention)
    assert broken(cut) == {}
    assert [one.count for one in cut.unjudged] == [1]
