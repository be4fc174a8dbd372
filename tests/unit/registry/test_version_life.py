"""Every state of a version with everything that people and workers can do: the registry does what the table says."""

from collections.abc import Callable
from itertools import product

import pytest

from freshet.ledger.life_tables import UNKNOWN, VERSION
from support.registry import Judgement, World, candidate, served, worker

ASKED = candidate("b")
NAME = "1.1.0"
COMMANDS = {"serve": "promote", "retire": "retire", "reinstate": "reinstate", "note": "annotate"}
OUTSIDE = ("publish", "fail", *COMMANDS)
"""What comes from outside; verdicts are the registry's own, and tombstones follow from a deletion."""


def publish(world: World, judgement: Judgement | str) -> None:
    """The candidate is published, once more perhaps, and judged so; a text is an admission that fails."""
    world.judgements[ASKED.manifest.digest] = judgement
    world.publish(ASKED.model_copy(update={"chunk_offsets": (len(world.log),)}))
    for _ in range(5):  # an admission that fails is tried again for ever
        world.decide()
        world.run_jobs()


def fail(world: World) -> None:
    """A worker reports that the version failed in service."""
    world.beat(worker(quarantined=(NAME,), partitions=()))
    world.settle()


def admitted(world: World) -> None:
    publish(world, Judgement())


def quarantined(world: World) -> None:
    admitted(world)
    fail(world)


def retired(world: World) -> None:
    admitted(world)
    world.command("retire", NAME)
    world.settle()


STATES: dict[str, Callable[[World], None]] = {
    UNKNOWN: lambda world: None,
    "candidate": lambda world: publish(world, "no sandbox."),
    "refused": lambda world: publish(world, Judgement(admitted=False, reason="golden_rows", detail="off by 1.")),
    "admitted": admitted,
    "quarantined": quarantined,
    "retired": retired,
}


def state_of(world: World) -> str:
    """What the registry holds of the candidate now."""
    records = world.models()
    if NAME in records:
        return records[NAME].state
    if world.decider._pipelines.state("fraud").candidates:
        return "candidate"
    return records[ASKED.manifest.digest].state if ASKED.manifest.digest in records else UNKNOWN


def test_the_table_has_no_other_states_and_inputs() -> None:
    """So that nothing below is forgotten."""
    assert list(STATES) == list(VERSION.moves)
    assert {*OUTSIDE, "admit", "refuse", "tombstone"} == {*VERSION.inputs}


@pytest.mark.parametrize(("state", "name"), list(product(STATES, OUTSIDE)))
def test_a_version_goes_where_its_table_says(state: str, name: str) -> None:
    """What is listed is done; what is not listed is refused, and changes nothing."""
    world = served("a")
    STATES[state](world)
    assert state_of(world) == state
    listed, before = VERSION.allows(state, name), world.models()
    if name == "publish":
        publish(world, "no sandbox.")
    elif name == "fail":
        fail(world)
    else:
        asked = world.command(COMMANDS[name], NAME)  # type: ignore[arg-type]
        world.decide()
        if state != "candidate":  # its admission never ends
            world.settle()
        assert world.verdict(asked) == ("done" if listed else "refused")
    assert state_of(world) == (VERSION.move(state, name).state if listed else state)
    effect = VERSION.move(state, name).effect if listed else ""
    assert (world.models().get(NAME) != before.get(NAME)) is (effect in {"record", "load"})
