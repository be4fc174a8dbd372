"""Retraining decides: what leads to a training, what does not and why, and how one that was cut off goes on."""

import pytest

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import JobError
from freshet.contracts.messages import Change, ModelVersion
from freshet.contracts.training_message import DRY_RUN, Training
from freshet.retraining.core.train_job import Train
from freshet.training.trainer import TrainingError
from support.registry import PIPELINE, candidate
from support.retraining import MANIFEST, World

EVERY_1000 = "triggers: [{kind: rows, every: 1000}]"
ALARMS = "triggers: [{kind: alarm}]"
DAY_MS = 86_400_000


def phases(records: list[Training]) -> list[tuple[str, str]]:
    """What happened, in short."""
    return [(record.trigger, record.phase) for record in records]


def world(retraining: str = "", rows: int = 5000, policy: str = "manual") -> World:
    """A pipeline whose version 1.0.0 answers, with a labelled log."""
    made = World(rows=rows)
    made.apply(retraining, policy=policy)
    made.serve()
    return made


def test_command_leads_to_a_training_whose_start_is_told_before_its_job_begins() -> None:
    """Choose, record, compute: the record has the rows, and the job is as the record says."""
    here = world("holdout: 0.2, max_rows: 1000, seed: 7")
    here.ask("c1")
    here.decide()
    here.run_jobs()
    (started,) = [effect.message for effect in here.decide()]
    assert isinstance(started, Training)
    assert here.done == []
    assert (started.phase, started.trigger, started.trigger_id, started.by) == ("started", "command", "c1", "ann@host")
    assert (started.from_row, started.cut_row, started.end_row, started.through) == (4000, 4800, 5000, 499)
    assert (started.champion, started.seed, started.specification) == ("1.0.0", 7, 1)
    (finished,) = here.settle()
    (job,) = here.done
    assert (job.from_row, job.cut_row, job.end_row, job.through, job.seed) == (4000, 4800, 5000, 499, 7)
    assert (job.trainer, dict(job.params)) == (started.trainer, started.params)
    assert job.champion is not None
    assert job.champion.version == "1.0.0"
    assert (finished.phase, finished.rows, finished.gate) == ("finished", 800, "none")


def test_without_a_section_nothing_but_a_command_leads_to_a_training() -> None:
    """A pipeline that says nothing of retraining is not trained by itself, whatever happens."""
    here = world(rows=10**6)
    here.alarm("a1")
    assert here.later(400 * DAY_MS) == []
    assert here.jobs == []
    here.ask("c1")
    assert phases(here.settle()) == [("command", "started"), ("command", "finished")]


def test_rows_lead_to_a_training_every_so_many() -> None:
    """Counted from the last training; of several that passed unseen only the last counts."""
    here = world(EVERY_1000, rows=999)
    assert here.settle() == []
    here.rows = 3500
    assert [record.trigger_id for record in here.later()] == ["3000 of log", "3000 of log"]
    here.rows = 4499
    assert here.later() == []
    here.rows = 4500
    assert [record.trigger_id for record in here.later()] == ["4500 of log", "4500 of log"]


def test_age_leads_to_a_training_so_long_after_the_newest_label_learned_from() -> None:
    """Without a training it counts from when the version that answers was admitted; each time once."""
    here = world("triggers: [{kind: age, after: 1d}]")
    assert here.later(DAY_MS - 1) == []
    assert phases(here.later(1)) == [("age", "started"), ("age", "finished")]
    assert here.later(DAY_MS - 1) == []
    (skipped,) = here.later(1)
    assert "learned from the same rows" in skipped.reason
    assert here.later(1000) == []


def test_schedule_leads_to_a_training_each_day() -> None:
    """From when it was applied on; a day that nobody saw is not made up for."""
    here = World(now_ms=10 * DAY_MS + 4 * 3_600_000, rows=5000)
    here.apply('triggers: [{kind: schedule, at: "03:00"}]')
    assert here.settle() == []
    assert here.later(22 * 3_600_000) == []
    first = here.later(3_600_000)
    assert [record.trigger_id for record in first] == [str(11 * DAY_MS + 3 * 3_600_000)] * 2
    here.rows = 6000
    assert [record.trigger_id for record in here.later(3 * DAY_MS)] == [str(14 * DAY_MS + 3 * 3_600_000)] * 2


def test_alarm_leads_to_a_training_on_what_came_since_the_change() -> None:
    """Older rows would teach it how the world was."""
    here = world(ALARMS)
    here.alarm("a1", (3000, 3400))
    started, finished = here.settle()
    assert (started.trigger_id, started.from_row, started.end_row) == ("a1", 3000, 5000)
    assert finished.phase == "finished"


def test_alarm_waits_for_rows_to_learn_from() -> None:
    """The change is younger than what a training needs: it comes as soon as there is enough."""
    here = world(ALARMS + ", min_rows: 200, holdout: 0.2", rows=3240)
    here.alarm("a1", (3000, 3200))
    assert here.later(5000) == []
    here.rows = 3250
    assert phases(here.later()) == [("alarm", "started"), ("alarm", "finished")]


def test_alarm_waits_longer_where_labels_are_late() -> None:
    """Half of the holdout is kept for what was predicted later, so late labels are not learned from: 900 of 1,000 rows
    less the 700 that labels are late."""
    here = world(ALARMS + ", min_rows: 200, holdout: 0.2", rows=3990)
    here.late_rows = 700
    here.alarm("a1", (3000, 3200))
    assert here.later(5000) == []
    here.rows = 4000
    assert phases(here.later()) == [("alarm", "started"), ("alarm", "finished")]


def test_alarm_does_not_wait_for_rows_that_max_rows_leaves_out() -> None:
    """It would wait for ever: the training begins, and says what it lacks."""
    here = world(ALARMS + ", min_rows: 200, max_rows: 600, holdout: 0.2", rows=3590)
    here.late_rows = 700
    here.alarm("a1", (3000, 3200))
    assert here.later(5000) == []
    here.rows = 3600
    assert phases(here.later())[0] == ("alarm", "started")


def test_alarms_of_rows_that_a_training_took_in_are_skipped_with_its_id() -> None:
    """The newest one knows best; those before it need no training of their own."""
    here = world(ALARMS)
    here.alarm("a1", (1000, 1400))
    here.alarm("a2", (3000, 3400))
    here.alarm("a2", (3000, 3400))
    records = [*here.settle(), *here.later()]
    assert [(record.trigger_id, record.phase) for record in records] == [
        ("a2", "started"),
        ("a2", "finished"),
        ("a1", "skipped"),
    ]
    assert records[0].training in records[2].reason


@pytest.mark.parametrize(("cause", "words"), [("own_rollout", "our own rollout"), ("data_quality", "labels or data")])
def test_alarm_that_another_model_would_not_mend_is_skipped(cause: str, words: str) -> None:
    """The reason is on the topic."""
    here = world(ALARMS)
    here.alarm("a1", cause=cause)
    (skipped,) = here.settle()
    assert skipped.phase == "skipped"
    assert words in skipped.reason


def test_so_many_doubtful_alarms_in_a_row_count_as_one() -> None:
    """One that is sure begins the count anew."""
    here = world("triggers: [{kind: alarm, suspected: 2}]")
    here.alarm("s1", level="suspected")
    here.alarm("d1")
    here.alarm("s2", level="suspected")
    here.settle()
    assert {record.trigger_id for record in here.records()} == {"d1"}
    here.alarm("s3", (4000, 4400), level="suspected")
    here.settle()
    assert {record.trigger_id for record in here.records()} == {"d1", "s3"}


@pytest.mark.parametrize(
    ("retraining", "more", "words"),
    [
        ("cool_down_rows: 500", 499, "499 rows have come"),
        ("most_per_day: 1", 1000, "within 24 hours"),
        ("min_rows: 5000", 0, "too few rows"),
    ],
)
def test_a_trigger_that_comes_too_early_is_skipped_with_the_reason(retraining: str, more: int, words: str) -> None:
    """A person's command is held to min_rows alone."""
    here = world(f'triggers: [{{kind: schedule, at: "03:00"}}], {retraining}')
    here.later(DAY_MS)
    here.rows += more
    *_, skipped = here.later(DAY_MS - 1)
    assert skipped.phase == "skipped"
    assert words in skipped.reason
    here.rows += 1
    here.ask("c1")
    assert here.settle()[-1].phase == ("skipped" if "min_rows" in retraining else "finished")


def test_the_day_of_most_per_day_counts_beginnings() -> None:
    """A training that began before the 24 hours is not counted because it ended within them."""
    here = world('triggers: [{kind: schedule, at: "03:00"}], most_per_day: 1')
    here.now_ms += DAY_MS
    assert here.settle(trainings=False)[-1].phase == "started"
    assert here.later(3_600_000)[-1].phase == "finished"
    here.rows += 1000
    assert here.later(DAY_MS - 3_600_000)[-1].phase == "finished"


def test_what_comes_up_while_a_training_is_under_way_waits_for_its_end() -> None:
    """One training at a time, and nothing is lost."""
    here = world(ALARMS)
    here.ask("c1")
    here.settle(trainings=False)
    here.rows = 8000
    here.alarm("a1", (6000, 7000))
    assert here.settle(trainings=False) == []
    assert phases(here.settle()) == [("command", "finished"), ("alarm", "started"), ("alarm", "finished")]


def test_look_that_began_before_an_alarm_says_nothing_about_it() -> None:
    """It may have seen the log without the alarm's rows: they would seem to be those of another log."""
    here = world(ALARMS)
    here.alarm("a0", (4000, 4500))
    here.decide()
    here.run_jobs()
    here.rows = 8000
    here.alarm("a1", (6000, 7000))
    assert here.decide() == []
    assert here.decide() == []
    assert [(record.trigger_id, record.phase) for record in here.settle()] == [("a1", "started"), ("a1", "finished")]


def test_training_that_was_cut_off_is_done_again_alike() -> None:
    """The successor has the same rows, parameters, seed and rival from the record, though the world went on."""
    here = world("seed: 3")
    here.ask("c1")
    here.settle(trainings=False)
    (first,) = [job for job in here.jobs if isinstance(job, Train)]
    here.crash()
    here.rows = 9000
    here.serve("1.1.0", epoch=2)
    here.apply("seed: 4", number=2)
    (finished,) = here.settle()
    (again,) = here.done
    fields = ("number", "spec", "training", "from_row", "cut_row", "end_row", "through", "trainer", "params", "seed")
    assert [getattr(first, name) for name in fields] == [getattr(again, name) for name in fields]
    assert again.champion is not None
    assert (again.champion.version, finished.phase) == ("1.0.0", "finished")


def test_training_that_rows_do_not_allow_has_failed_with_the_reason() -> None:
    """It is not tried again: the same would come of it."""
    here = world()
    here.results = [TrainingError("all rows are of one class.")]
    here.ask("c1")
    *_, failed = here.settle()
    assert (failed.phase, failed.reason) == ("failed", "all rows are of one class.")
    assert len(here.done) == 1


def test_training_that_nobody_could_try_is_tried_again() -> None:
    """After a while, and not for ever."""
    here = world()
    here.results = [FreshetError("no broker."), FreshetError("no broker.")]
    here.ask("c1")
    here.settle()
    assert here.later(999) == []
    assert here.later(1) == []
    (finished,) = here.later(2_000)
    assert finished.phase == "finished"
    here.results = [FreshetError("no memory.")] * 6
    here.rows += 1000
    here.ask("c2")
    here.settle()
    found = [record for wait_s in (1, 2, 4, 8, 16) for record in here.later(1_000 * wait_s)]
    assert [(record.phase, record.reason) for record in found] == [("failed", "no memory.")]


def test_training_that_takes_too_long_has_failed() -> None:
    """Another attempt would take as long."""
    here = world()
    here.results = [JobError("late", "Train has not come back.")]
    here.ask("c1")
    assert here.settle()[-1].phase == "failed"


def test_gate_is_judged_with_each_clause_in_words() -> None:
    """Against the figures of the training, of candidate and champion on the same rows."""
    here = world("gate: [{metric: accuracy, not_worse_by: 0.01}, {metric: log_loss, at_most: 0.5}]")
    here.results = [{"candidate.accuracy": 0.8, "champion.accuracy": 0.8, "candidate.log_loss": 0.6}]
    here.ask("c1")
    *_, finished = here.settle()
    assert finished.gate == "fail"
    assert finished.clauses == (
        "accuracy 0.8 may be worse than 0.8 of 1.0.0 by 0.01: pass",
        "log_loss 0.6 must be at most 0.5: fail",
    )


def test_dry_run_tells_what_would_be_done_and_does_nothing() -> None:
    """Rows, trainer and rival in one sentence."""
    here = world()
    here.ask("c1", text=DRY_RUN)
    (skipped,) = here.settle()
    assert "would learn from rows 0 to 4,000 and be tried on those up to 5,000, compared with 1.0.0" in skipped.reason
    assert here.done == []
    here.apply(
        "gate: [{metric: latency_ms, at_most: 1}, {metric: accuracy, not_worse_by: 0.01}], approval: required", 2
    )
    here.ask("c2", text=DRY_RUN)
    (skipped,) = here.settle()
    assert "latency_ms must be at most 1; accuracy may be worse by 0.01. Then" in skipped.reason
    assert "rollout policy manual decides, and `freshet model promote` must approve" in skipped.reason


def test_training_that_is_done_again_knows_what_came_of_it() -> None:
    """Its version may be there already, and a figure that is measured again would make another candidate of it."""
    here = world()
    here.ask("c1")
    (begun,) = here.settle(trainings=False)
    assert [job.published for job in here.jobs if isinstance(job, Train)] == [None]
    manifest = candidate("m", lineage={"training": begun.training}).manifest
    version = ModelVersion(pipeline=PIPELINE, version="1.1.0", state="admitted", reason="", manifest=manifest)
    here.tell("models", f"{PIPELINE}/1.1.0", version)
    here.crash()
    here.settle(trainings=False)
    assert [job.published for job in here.jobs if isinstance(job, Train)] == [manifest]


def test_command_that_was_withdrawn_or_has_expired_is_skipped() -> None:
    """Even while another training is under way, and where no such pipeline is known."""
    here = world()
    here.ask("c1")
    here.settle(trainings=False)
    here.ask("c2")
    here.ask("c2", withdrawn=True)
    here.ask("c3", ttl_ms=10)
    here.now_ms += 11
    assert [(record.trigger_id, record.phase) for record in here.settle(trainings=False)] == [
        ("c2", "skipped"),
        ("c3", "skipped"),
    ]
    empty = World()
    empty.ask("c1", ttl_ms=10)
    assert empty.settle() == []
    (skipped,) = empty.later(11)
    assert "No pipeline of this name" in skipped.reason


def test_specification_that_cannot_be_read_is_the_reason() -> None:
    """A newer release wrote it, perhaps: a command says so, and nothing is trained under an older one."""
    here = world()
    here.apply("seeds: 1", number=2)
    here.ask("c1")
    (skipped,) = here.settle()
    assert "specification 2 cannot be read" in skipped.reason


def test_deleted_pipeline_ends_its_training() -> None:
    """The job is told to stop, and the end is on the topic."""
    here = world()
    here.ask("c1")
    here.settle(trainings=False)
    here.tell("pipelines", f"{PIPELINE}/1", None)
    (failed,) = here.settle(trainings=False)
    assert (failed.phase, failed.reason) == ("failed", "the pipeline was deleted.")
    assert here.jobs == []


def test_end_that_could_not_be_committed_is_told_again() -> None:
    """A decision that was lost is made again, without a second training."""
    here = world()
    here.ask("c1")
    here.settle(trainings=False)
    here.run_jobs()
    lost = here.decider.decide(PIPELINE, here.now_ms)
    assert here.decider.decide(PIPELINE, here.now_ms) == lost
    here.settle()
    assert len(here.done) == 1


def test_record_that_is_too_large_is_told_in_short() -> None:
    """Its figures go, its end stays."""
    here = world()
    here.ask("c1")
    here.settle(trainings=False)
    here.run_jobs()
    told = here.decider.decide(PIPELINE, here.now_ms)
    here.decider.on_too_large(PIPELINE, told, "5 MB")  # type: ignore[arg-type]
    (finished,) = here.settle()
    assert (finished.phase, finished.metrics) == ("finished", {})


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        ("artifact_missing: the topic holds no valid chunk 0", "finished"),
        ("model_timeout: scoring took longer than 60 s.", "finished"),
        ("signature_revoked_key: it is signed by k1, which was revoked.", "finished"),
        ("model_golden: its golden scores are 0.1 away", "skipped"),
    ],
)
def test_a_candidate_that_was_refused_for_what_may_be_mended_is_made_again(reason: str, phase: str) -> None:
    """The same rows would give the same model, and this time it may be admitted; once it is, no more."""
    here = World(rows=1000)
    here.apply()
    here.ask("c1")
    (done,) = [record for record in here.settle() if record.phase == "finished"]
    manifest = candidate("any").manifest.model_copy(update={"digest": done.digest})
    refused = ModelVersion(pipeline=PIPELINE, version="", state="refused", reason=reason, manifest=manifest)
    here.tell("models", f"{PIPELINE}/{done.digest}", refused.model_copy(update={"manifest_id": "m1"}))
    here.ask("c2")
    assert here.settle()[-1].phase == phase
    history = (Change(at_ms=1, what="admitted"),)
    admitted = {"version": "1.0.0", "state": "admitted", "reason": "", "history": history, "manifest_id": "m2"}
    here.tell("models", f"{PIPELINE}/1.0.0", refused.model_copy(update=admitted))
    here.ask("c3")
    (skipped,) = here.settle()
    assert "learned from the same rows" in skipped.reason


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        ("signature_revoked_key: it is signed by k1, which was revoked.", "finished"),
        ("model_golden: its golden scores are 0.1 away", "skipped"),
    ],
)
def test_a_model_that_was_refused_for_its_key_starts_no_cool_down(reason: str, phase: str) -> None:
    """The next alarm, once the key is mended, leads to a model; a bad model has had its turn."""
    here = world("triggers: [{kind: alarm}], cool_down_rows: 500")
    here.alarm("a1", (3000, 3400))
    (done,) = [record for record in here.settle() if record.phase == "finished"]
    manifest = candidate("any").manifest.model_copy(update={"digest": done.digest})
    refused = ModelVersion(pipeline=PIPELINE, version="", state="refused", reason=reason, manifest=manifest)
    here.tell("models", f"{PIPELINE}/{done.digest}", refused.model_copy(update={"manifest_id": "m1"}))
    here.rows += 400
    here.alarm("a2", (4900, 5390))
    record = here.settle()[-1]
    assert (record.trigger_id, record.phase) == ("a2", phase)
    assert phase == "finished" or "cool_down_rows" in record.reason


def test_a_log_that_was_made_anew_has_occasions_of_its_own() -> None:
    """Rows have the same numbers again, and what was answered was about others: neither is taken for the other."""
    here = world("triggers: [{kind: rows, every: 1000}, {kind: alarm}], min_rows: 100", rows=0)
    for rows in (1000, 2000):
        here.rows = rows
        assert phases(here.later()) == [("rows", "started"), ("rows", "finished")]
    here.rows = 2050
    here.alarm("old", (1990, 2050), at_ms=here.now_ms)
    assert here.later() == []  # it waits for rows since the change
    here.now_ms += DAY_MS
    here.make_log_anew()
    here.rows = 900
    (old,) = here.later()
    assert (old.trigger_id, old.phase) == ("old", "skipped")
    assert "the labelled log no longer has" in old.reason
    here.alarm("new", (300, 900), at_ms=here.now_ms)
    assert phases(here.later()) == [("alarm", "started"), ("alarm", "finished")]  # the old ones went up to row 2,000
    here.rows = 2900
    begun = here.later()[0]
    assert (begun.trigger, begun.phase, begun.end_row) == ("rows", "started", 2900)


def test_no_training_begins_while_the_last_model_may_be_about_to_answer() -> None:
    """It would be compared with a version that answers no more, and be refused for that however good it is."""
    triggers = "triggers: [{kind: rows, every: 1000}, {kind: alarm}]"
    here = world(f"{triggers}, min_rows: 100, gate: [{{metric: accuracy, at_least: 0.1}}]", policy="gated")
    here.rows = 1000
    assert phases(here.settle()) == [("rows", "started"), ("rows", "finished")]
    here.alarm("changed", (400, 900))
    assert here.settle() == []
    here.now_ms += 59_000
    assert here.settle() == []
    here.now_ms += 1_000  # nobody decides, so there is nothing to wait for
    assert phases(here.settle()) == [("alarm", "started"), ("alarm", "finished")]


def test_a_model_that_was_rolled_back_keeps_no_training_waiting() -> None:
    """It has answered, so it is decided upon."""
    triggers = "triggers: [{kind: rows, every: 1000}, {kind: alarm}]"
    here = world(f"{triggers}, min_rows: 100, gate: [{{metric: accuracy, at_least: 0.1}}]", policy="gated")
    here.rows = 1000
    finished = here.settle()[-1]
    made = MANIFEST.model_copy(update={"lineage": {"training": finished.training}})
    here.serve("1.1.0", 2, made)
    here.serve("1.0.0", 3)
    here.alarm("own", (400, 900), cause="own_rollout")
    assert phases(here.settle()) == [("alarm", "skipped")]


def test_an_alarm_does_not_learn_from_rows_of_a_later_change() -> None:
    """While the newest change waits for rows, no earlier one is learned from: its rows would be of two worlds."""
    here = world("triggers: [{kind: alarm}], min_rows: 1000")
    here.rows = 1400
    here.alarm("first", (400, 600))
    here.alarm("second", (1300, 1400))
    assert here.settle() == []
    here.rows = 1700  # enough since the first, but not since the second
    assert here.later() == []
    here.rows = 2600
    started, _ = here.later()
    assert (started.trigger_id, started.from_row) == ("second", 1300)
    (covered,) = here.later()
    assert (covered.trigger_id, covered.phase) == ("first", "skipped")
    assert "has taken in its rows" in covered.reason


@pytest.mark.parametrize("order", [("alarm}", "rows, every: 2000}"), ("rows, every: 2000}", "alarm}")])
def test_rows_from_before_a_change_that_waits_are_not_learned_from(order: tuple[str, str]) -> None:
    """Most of what a training by count would learn is of the world that is gone; what a person asks for is done."""
    triggers = ", ".join(f"{{kind: {one}" for one in order)
    here = world(f"triggers: [{triggers}], min_rows: 1000")
    here.rows = 1900
    here.alarm("changed", (1700, 1900))
    assert here.settle() == []
    here.rows = 2100
    assert here.later() == []
    here.rows = 3000
    started, _ = here.later()
    assert (started.trigger, started.from_row) == ("alarm", 1700)
