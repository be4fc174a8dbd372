"""The tables of what can happen to an epoch, a version, a command and a worker: every state with every input."""

import re
from itertools import product
from pathlib import Path

import pytest

from freshet.contracts.messages import Command, Decision, Verdict, WorkerState
from freshet.ledger.decisions import Commands
from freshet.ledger.epochs import Epochs
from freshet.ledger.life_tables import COMMAND, EPOCH, LIVES, UNKNOWN, WORKER, ForbiddenMoveError, Life
from freshet.ledger.workers import Beat, BeatClock, Workers
from support.inference import PIPELINE, rollout
from support.registry import worker

PAIRS = [(life, state, name) for life in LIVES for state, name in product(life.moves, life.inputs)]


def pairs(life: Life) -> list[tuple[str, str]]:
    """Every state with every input."""
    return list(product(life.moves, life.inputs))


@pytest.mark.parametrize(("life", "state", "name"), PAIRS, ids=[f"{a.name}-{b}-{c}" for a, b, c in PAIRS])
def test_a_listed_input_leads_to_a_state_and_every_other_is_refused(life: Life, state: str, name: str) -> None:
    """No input leads out of the table, and the refusal says what may come instead."""
    if life.allows(state, name):
        assert life.move(state, name).state in life.moves
    else:
        with pytest.raises(ForbiddenMoveError, match=rf"{life.name}: '{re.escape(name)}' cannot follow"):
            life.move(state, name)


@pytest.mark.parametrize("life", LIVES, ids=[life.name for life in LIVES])
def test_the_design_prints_the_table(life: Life) -> None:
    """What a reader of the design sees is what the code does."""
    assert life.table() in (Path(__file__).parents[3] / "docs/design.md").read_text()


@pytest.mark.parametrize(("state", "name"), pairs(EPOCH))
def test_epochs_are_folded_by_their_table(state: str, name: str) -> None:
    """A listed record is taken or kept out without an alarm; an unlisted one is in force, with an alarm."""
    epochs = Epochs(PIPELINE)

    def tell(phase: str) -> None:
        epochs.fold(rollout(7, "v7").model_copy(update={"phase": phase}))

    if state != UNKNOWN:
        tell(state)
    if name == "tombstone":
        epochs.forget()
        assert (epochs.records, epochs.alarm) == ({}, "")
        return
    tell(name)
    listed = EPOCH.allows(state, name)
    assert bool(epochs.alarm) is not listed
    assert epochs.records[7].phase == (EPOCH.move(state, name).state if listed else name)
    assert epochs.live_epoch == (7 if epochs.records[7].phase == "live" else 0)
    assert [opened.epoch for opened in epochs.open] == ([7] if epochs.records[7].phase == "prepare" else [])


@pytest.mark.parametrize(("state", "name"), pairs(COMMAND))
def test_commands_are_folded_by_their_table(state: str, name: str) -> None:
    """A command has one decision, whatever is asked again; a second one is in force, with an alarm."""
    commands = Commands(PIPELINE)

    def tell(what: str) -> None:
        command = Command(command_id="c", pipeline=PIPELINE, action="pause", expires_at_ms=9, by="ops")
        if what in {"ask", "asked"}:
            commands.ask(command, 1)
        elif what == "withdraw":
            commands.ask(command.model_copy(update={"expires_at_ms": 0}), 2)
        else:
            verdict: Verdict = what  # type: ignore[assignment]
            commands.decide(Decision(pipeline=PIPELINE, about="command", subject="c", verdict=verdict, reason=""))

    if state != UNKNOWN:
        tell(state)
    assert commands.state("c") == state
    tell(name)
    listed = COMMAND.allows(state, name)
    assert bool(commands.alarm) is not listed
    assert commands.state("c") == (COMMAND.move(state, name).state if listed else name)
    assert [asked.command.withdrawn for asked in commands.open.values()] == (
        [name == "withdraw"] if commands.state("c") == "asked" else []
    )


SAYS: dict[str, dict[str, object]] = {"joining": {"partitions": ()}, "leaving": {"leaving": True}}
BEATS = {"idle beat": "joining", "busy beat": "serving", "goodbye": "leaving"}


@pytest.mark.parametrize(("state", "name"), pairs(WORKER))
def test_workers_are_folded_by_their_table(state: str, name: str) -> None:
    """The newest beat says how a worker is, until it has missed some; a tombstone forgets it."""
    workers, now_ms = Workers(BeatClock()), 10_000

    def beat(what: str, at_ms: int) -> None:
        told: WorkerState = worker("w1", **SAYS.get(what, {}))
        workers.fold("w1", Beat(at_ms, at_ms, told))

    if state != UNKNOWN:
        beat(state, now_ms - (3_001 if state == "silent" else 3_000))
    if name == "missed beats":
        now_ms += 1
    elif name == "tombstone":
        workers.forget("w1")
    else:
        beat(BEATS[name], now_ms)
    found = workers.beats.get("w1")
    after = WORKER.move(state, name).state if WORKER.allows(state, name) else UNKNOWN
    assert (found.state(now_ms) if found else UNKNOWN) == after
