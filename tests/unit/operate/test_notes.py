"""Notes and tags on versions and trainings."""

import pytest

from freshet.contracts.messages import Change, ModelVersion
from freshet.operate.notes import Note, note_text, notes_on, notes_on_trainings, tags_of
from freshet.operate.operate_error import OperateError
from freshet.operate.training_runs import runs_of
from support.registry import PIPELINE, candidate
from support.registry import World as Registry
from support.retraining import World

TRAINING = "0123456789abcdef" * 2


def test_tags_are_words_of_notes_and_the_newest_counts() -> None:
    """An empty value takes a tag away; what only looks like one is text."""
    texts = [
        note_text("seen by audit", ["stage=trial", "owner=ann"]),
        note_text("", ["stage=live"]),
        "a#b=c #9=x",
        "#owner=",
    ]
    assert tags_of(Note(1, "ann@host", text) for text in texts) == {"stage": "live"}
    assert texts[:2] == ["seen by audit #stage=trial #owner=ann", "#stage=live"]


@pytest.mark.parametrize("tag", ["stage", "=x", "two words=x", "a=b c", "9=x"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(OperateError, match="is not KEY=VALUE"):
        note_text("text", [tag])
    with pytest.raises(OperateError, match="nothing to note"):
        note_text("  ", [])


def test_notes_on_a_version_are_read_from_its_history() -> None:
    """Other lines are none."""
    lines = ("admitted", "annotate by ann@host: good: #stage=live\nsecond line", "retire by bob@host: old")
    model = ModelVersion(
        pipeline=PIPELINE,
        version="1.0.0",
        state="admitted",
        reason="",
        manifest=candidate("m").manifest,
        history=tuple(Change(at_ms=at, what=line) for at, line in enumerate(lines)),
    )
    assert notes_on(model) == [Note(1, "ann@host", "good: #stage=live\nsecond line")]


def test_note_on_a_training_is_the_registrys_decision_and_is_shown_with_the_run() -> None:
    """Whatever came of the training; said twice it counts once, and a version has no part in it."""
    registry = Registry()
    registry.apply()
    asked = registry.command("annotate", TRAINING, text="odd data #keep=yes")
    registry.settle()
    assert registry.verdict(asked) == "done"
    (decision,) = registry.decisions(asked)
    assert decision.inputs["training"] == TRAINING
    world = World(rows=5000)
    world.apply()
    world.ask("c1", text="dry run")
    world.settle()
    run = runs_of(world.log, PIPELINE)[0].last.training
    told = decision.model_copy(update={"inputs": {**decision.inputs, "training": run}})
    for _ in range(2):
        world.tell("decisions", PIPELINE, told)
    assert [note.text for note in runs_of(world.log, PIPELINE)[0].notes] == ["odd data #keep=yes"]
    assert list(notes_on_trainings(world.log, "other")) == []
