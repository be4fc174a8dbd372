"""What the console says of a pipeline: the sentences, the signs, and what each of them rests on."""

import re
import shlex
from html import unescape

import pytest

from freshet.console.core.answer import Kind
from freshet.console.rendering import Rendering
from freshet.contracts.messages import PipelineRecord, Rollout
from support.console import (
    EVENT_SCHEMA,
    MINUTE_MS,
    NOW_MS,
    PIPELINE,
    SPEC,
    ConsoleWorld,
    alarm,
    evaluation,
    flowing_world,
    some_letters,
    training,
)


def test_a_pipeline_that_is_right_says_so_in_all_its_answers() -> None:
    """Nothing needs a look."""
    screen = flowing_world().screen(some_letters())
    kinds = [answer.kind for _, answer in screen.answers]
    assert kinds == ["ok", "ok", "ok", "off", "off", "ok"]
    assert screen.flowing.answer.brief == "40.0 /s, lag 0.0 s"
    assert screen.answerers.answer.sentence == "1.0.0 answers everything."
    assert screen.right.answer.sentence.startswith("Yes: accuracy .912")
    assert [line.role for line in screen.right.lines] == ["served", "champion", "baseline"]
    assert dict(screen.answerers.cut_at) == {0: 100, 1: 100}


def test_nothing_is_known_before_anything_is_measured() -> None:
    """A dash and a reason, never a zero."""
    world = ConsoleWorld()
    world.apply()
    screen = world.screen()
    assert screen.flowing.answer.sentence == "No: ingestion has never been heard of, so no event is answered."
    assert screen.right.answer.kind == "wait"
    assert all(spot.rate is None for spot in screen.flowing.upper[::2])  # type: ignore[union-attr]
    assert all(wire.records is None for wire in screen.flowing.upper[1::2])  # type: ignore[union-attr]
    assert screen.aside.answer.brief == "not read yet"


@pytest.mark.parametrize(
    ("age_ms", "kind", "state"), [(3_000, "ok", "serving"), (4_500, "stale", "silent"), (9_500, "bad", "dead")]
)
def test_a_worker_whose_beats_stay_away_is_silent_and_then_dead(age_ms: int, kind: Kind, state: str) -> None:
    """Within five seconds of its last beat the page says so; after three missed ones it is dead."""
    world = flowing_world()
    world.beat("inference", "1", age_ms=age_ms)
    (worker,) = [one for one in world.screen().answerers.workers if one.name.endswith("/1")]
    assert (worker.kind, worker.state, worker.alive) == (kind, state, state != "dead")
    assert world.screen().flowing.answer.kind == kind
    told = [why.fact for why in world.screen().flowing.whys]
    assert [
        text.startswith(f"inference/loans/1 {'is silent' if kind == 'stale' else 'has been dead'}") for text in told
    ] == ([] if kind == "ok" else [True])


def test_without_any_worker_of_a_service_no_event_is_answered() -> None:
    """The sentence names the service."""
    world = flowing_world()
    world.now_ms += 20_000
    world.beat("ingestion")
    answer = world.screen().flowing.answer
    assert (answer.kind, answer.sentence) == ("bad", "No: inference does not run, so no event is answered.")


def test_a_partition_that_waits_says_why() -> None:
    """The reason is the worker's."""
    world = flowing_world()
    world.beat("inference", held="epoch 2 is not loaded here yet")
    flowing = world.screen().flowing
    assert (flowing.answer.kind, flowing.answer.brief) == ("held", "1 partition held")
    assert flowing.whys[0].fact == "features 0 waits."
    assert flowing.whys[0].cause == "Epoch 2 is not loaded here yet."
    assert [bar.held for bar in flowing.bars] == [True, False]


def test_a_long_wait_is_late() -> None:
    """Told in seconds, with the place of the oldest record."""
    world = flowing_world()
    world.measure(waiting=(0.0, 6.2))
    flowing = world.screen().flowing
    assert flowing.answer.sentence == "Yes, but ingestion is 6.2 s behind: 3 records wait."
    assert flowing.upper[3].oldest == "1@500"  # type: ignore[union-attr]


def test_of_many_partitions_the_worst_are_shown() -> None:
    """A dozen, and how many there are beside them."""
    world = flowing_world()
    world.measure(waiting=[float(number) for number in range(48)])
    flowing = world.screen().flowing
    assert [bar.number for bar in flowing.bars] == list(range(36, 48))
    assert flowing.hidden_bars == 36


def test_shares_are_told_and_a_worker_that_is_behind() -> None:
    """A challenger has a share of its own."""
    world = flowing_world()
    world.admit("1.1.0")
    world.live(2, "1.0.0", others={"1.1.0": 2_500})
    screen = world.screen()
    assert screen.answerers.answer.sentence.startswith("1.0.0 answers 75 %, 1.1.0 answers 25 %. inference/loans/0 is")
    assert screen.answerers.answer.brief == "75 : 25, 1 behind"


def test_without_a_registry_nobody_decides() -> None:
    """What answers goes on."""
    world = flowing_world()
    world.beat("registry", age_ms=10_000)
    answer = world.screen().answerers.answer
    assert (answer.kind, answer.sentence) == ("bad", "1.0.0 answers everything. No registry runs, so nobody decides.")


def test_worse_than_promised_needs_a_look() -> None:
    """Only once chance does not explain it."""
    world = flowing_world()
    world.tell("evaluations", PIPELINE, evaluation("version:1.0.0", NOW_MS, 150))
    answer = world.screen().right.answer
    assert (answer.kind, answer.brief) == ("warn", ".600, promise .900")


def test_a_champion_is_not_blamed_for_the_answers_of_others() -> None:
    """It has gone live and answered nothing yet: what was served does not break its promise."""
    world = flowing_world()
    world.admit("1.1.0", metrics={"accuracy": 0.95})
    world.live(2, "1.1.0")
    world.tell("evaluations", PIPELINE, evaluation("served", NOW_MS, 160))
    answer = world.screen().right.answer
    assert answer.kind == "ok"
    assert answer.sentence.endswith("Of 1.1.0 too few labels have come to hold it to its promise.")


def test_worse_than_no_model_needs_a_look_where_nothing_was_promised() -> None:
    """The commonest class alone would be right more often."""
    world = flowing_world()
    world.admit("1.1.0")
    world.live(2, "1.1.0")
    world.tell("evaluations", PIPELINE, evaluation("served", NOW_MS, 110))
    answer = world.screen().right.answer
    assert (answer.kind, answer.brief) == ("warn", ".440, majority .600")
    world.tell("evaluations", PIPELINE, evaluation("served", NOW_MS + 1000, 220))
    assert world.screen().right.answer.sentence.endswith("The model was published without a promise.")


def test_few_labels_say_nothing() -> None:
    """However good they are."""
    world = flowing_world()
    world.tell("evaluations", PIPELINE, evaluation("served", NOW_MS, 50, rows=50))
    assert world.screen().right.answer.kind == "wait"


def test_an_open_episode_says_what_since_when_and_whose_doing() -> None:
    """Until another champion answers."""
    world = flowing_world()
    world.tell("alarms", PIPELINE, alarm("a1", NOW_MS - 2 * MINUTE_MS))
    changed = world.screen().changed
    assert changed.answer.kind == "warn"
    assert "since row 9. First alarm at" in changed.answer.sentence
    assert changed.answer.sentence.endswith("whose doing: the world.")
    assert [cause.name for cause in changed.causes if cause.yes] == ["world"]
    world.admit("1.1.0")
    world.live(2, "1.1.0", NOW_MS - MINUTE_MS)
    assert world.screen().changed.answer.kind == "ok"
    assert world.screen().changed.causes == ()


def test_a_training_and_what_came_of_it() -> None:
    """With the clauses of its gate."""
    world = flowing_world()
    world.tell("trainings", PIPELINE, training("t1", NOW_MS - MINUTE_MS, phase="started"))
    assert world.screen().doing.answer.brief == "a training runs"
    world.tell("trainings", PIPELINE, training("t1", NOW_MS))
    world.admit("1.1.0", lineage={"training": "t1", "trained_through_ms": str(NOW_MS - 5_000)})
    doing = world.screen().doing
    assert doing.runs[0].version == "1.1.0"
    assert doing.runs[0].clauses == ("accuracy 0.9 must be at least 0.8: pass",)
    assert doing.answer.sentence.endswith("led to 1.1.0, admitted.")


@pytest.mark.parametrize(
    ("age_ms", "decided", "kind", "told"),
    [
        (2_000, False, "wait", "asked; the answer is waited for."),
        (11_000, False, "bad", "nobody answered in 10 s. Is the registry running?"),
        (400_000, False, "bad", "nobody answered before it expired: it will not be carried out."),
        (11_000, True, "ok", "done: as you wish"),
    ],
)
def test_a_command_waits_for_its_answer(age_ms: int, decided: bool, kind: Kind, told: str) -> None:
    """And "nobody answered" is a state of its own."""
    world = flowing_world()
    world.ask("pause", "c1", age_ms)
    if decided:
        world.decide("c1")
    row = world.screen().acting.log[0]
    assert row.kind == kind
    assert row.told.startswith(told)


def test_actions_name_the_line_that_does_the_same_with_the_epoch_that_is_shown() -> None:
    """What is not possible says why."""
    world = flowing_world()
    acts = {act.action: act for act in world.screen(some_letters()).acting.acts}
    assert acts["pause"].command == "freshet model pause --pipeline loans --expect-epoch 1"
    assert acts["resume"].off == "Rollouts are not paused."
    assert acts["rollback"].off == "No other version may serve."
    assert acts["promote"].off == "There is no other admitted version."
    assert acts["redrive"].command == "freshet dead-letters redrive --pipeline loans --reason input_range"
    world.admit("1.1.0")
    world.live(2, "1.1.0", paused=True)
    acts = {act.action: act for act in world.screen().acting.acts}
    assert acts["rollback"].command == "freshet model rollback --pipeline loans --to 1.0.0 --expect-epoch 2"
    assert acts["pause"].off == "Rollouts are paused already."
    assert acts["redrive"].off == "There is nothing to send again."


def test_hundreds_of_cut_overs_are_a_row_of_short_marks() -> None:
    """None goes through the panels, none has words."""
    world = flowing_world()
    for epoch in range(2, 300):
        version = f"1.{epoch}.0"
        world.live(epoch, version, NOW_MS - 9 * MINUTE_MS + epoch * 1000)
    screen = world.screen()
    assert len(screen.marks.cuts) > 200
    assert ">e250<" not in screen.chart
    assert screen.chart.count("V12") > 200
    assert len(screen.chart) < 40_000


def test_a_regression_has_errors_instead_of_accuracies() -> None:
    """Lower is better, and there is no confusion."""
    world = ConsoleWorld()
    world.apply(target="{kind: value}")
    world.admit("1.0.0", classes=(), metrics={"mae": 3.0})
    world.live(1, "1.0.0")
    world.run_all()
    world.tell("evaluations", PIPELINE, evaluation("served", NOW_MS, 0, classes=()))
    world.tell("evaluations", PIPELINE, evaluation("version:1.0.0", NOW_MS, 0, classes=()))
    screen = world.screen()
    assert not screen.right.classes
    assert screen.right.answer.sentence.startswith("Yes: mean error 2 in the last 250 rows")
    assert "mean error" in screen.chart


def test_many_classes_are_cut_short() -> None:
    """The head names some."""
    world = ConsoleWorld()
    names = [f"c{number}" for number in range(100)]
    world.apply(target=f"{{classes: [{', '.join(names)}]}}")
    world.tell("evaluations", PIPELINE, evaluation("served", NOW_MS, 200, classes=tuple(names)))
    screen = world.screen()
    assert screen.question == "c0, c1, c2, c3, c4, c5 …"
    assert screen.right.lines[0].figure is not None


def test_topics_that_contradict_themselves_are_told_first() -> None:
    """Two registries decided."""
    world = flowing_world()
    world.live(1, "1.1.0")
    assert world.screen().answerers.answer.kind == "bad"
    assert isinstance(world.folded.of(PIPELINE).epochs.live, Rollout)


def test_a_deleted_pipeline_is_gone() -> None:
    """With all that was known of it."""
    world = flowing_world()
    world.tell("pipelines", f"{PIPELINE}/1", None)
    assert world.folded.pipelines() == []
    assert world.folded.facts(PIPELINE).spec is None


def test_declared_slices_have_lines_and_every_point_is_in_the_table() -> None:
    """The figure, its table and the cross-hair tell the same numbers; a slice that is declared no more is not shown."""
    world = flowing_world()
    spec = SPEC.format(pipeline=PIPELINE, partitions=2, target="{classes: [approved, declined]}")
    slices = "slices: [{name: young, feature: age, below: 30}]"
    record = PipelineRecord(
        pipeline=PIPELINE, number=2, spec=f"{spec}{slices}\n", event_schema=EVENT_SCHEMA, event_schema_id=1
    )
    world.tell("pipelines", f"{PIPELINE}/2", record)
    for minute in range(8, 0, -1):
        for name, right in (("young", 200), ("gone", 100)):
            world.tell("evaluations", PIPELINE, evaluation(f"slice:{name}", NOW_MS - minute * MINUTE_MS, right))
    world.measured.worst[NOW_MS // MINUTE_MS - 3] = 2.5
    screen = world.screen()
    lines = {one.name: one for one in screen.right.lines}
    assert (lines["young"].role, "gone" in lines) == ("slice", False)
    assert 'class="lsl"' in screen.chart
    assert screen.course.names == ("lag", *(one.name for one in screen.right.lines))
    at = screen.course.names.index("young")
    assert {row.values[at] for row in screen.course.rows} == {".800"}
    assert [row.start_ms for row in screen.course.rows] == [point.start_ms for point in lines["young"].points][::-1]
    assert [row.values[0] for row in screen.course.rows].count("2.5 s") == 1


def test_before_any_label_the_table_has_the_lag() -> None:
    """By the minute."""
    world = ConsoleWorld()
    world.apply()
    world.measured.worst |= {NOW_MS // MINUTE_MS - ago: 1.0 for ago in range(3)}
    course = world.screen().course
    assert (course.names, [row.values for row in course.rows]) == (("lag",), [("1.0 s",)] * 3)


@pytest.mark.parametrize("reason", ["x; touch /tmp/it", "$(id)", "`id`", "a\x1b[201~\nid\n", "it's --dry-run"])
def test_a_command_to_copy_runs_nothing_that_a_stranger_wrote(reason: str) -> None:
    """Whoever may write dead letters chooses their reasons; people paste the line into a shell."""
    acts = {act.action: act for act in flowing_world().screen(some_letters(reason)).acting.acts}
    words = shlex.split(acts["redrive"].command)
    assert words[:-1] == ["freshet", "dead-letters", "redrive", "--pipeline", PIPELINE, "--reason"]
    assert words[-1] == "".join(one if one.isprintable() else "?" for one in reason)
    screen = flowing_world().screen(some_letters(reason))
    common = {"title": "", "pipeline": PIPELINE, "namespace": "", "stream": "", "csrf": "", "acts": True}
    html = Rendering().page("letters", NOW_MS, {}, **common, s=screen, reason=reason)
    for line in re.findall(r"<code>(.*?)</code>", html, re.DOTALL):
        copied = unescape(re.sub(r"<[^>]*>", "", line)).strip()
        assert words[-1] in shlex.split(copied)
        assert copied.isprintable()
