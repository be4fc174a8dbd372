"""The simulation in small: fixed seeds; and a batch that a rebalance interrupts, with and without its rule."""

import inspect
import textwrap
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from freshet.runtime.partitions import Partitions
from support.loops import NAMES, Answerer, Stand
from support.simulation import Run, play
from support.simulation.cheap import cheaply
from support.simulation.scheduler import KINDS

SEEDS = range(50)
STEPS = 40


@pytest.fixture(autouse=True)
def _cheaply() -> Iterator[None]:
    with cheaply():
        yield


@cache
def played(seed: int) -> Run:
    """A short run of a fixed seed, once for all tests here."""
    return play(f"fixed/{seed}", STEPS)


@pytest.mark.parametrize("tens", range(0, len(SEEDS), 10))
def test_whatever_happens_between_two_calls_no_promise_breaks(tens: int) -> None:
    """Ten short runs of fixed seeds; `make sim` plays as many others as one likes."""
    for seed in SEEDS[tens : tens + 10]:
        played(seed)


def test_everything_that_may_happen_does() -> None:
    """In these few runs already each kind of trouble is met in several of them, and none that is not listed."""
    runs = Counter[str]()
    for seed in SEEDS:
        runs.update(played(seed).done.keys())
    assert runs.keys() == KINDS
    assert {kind: count for kind, count in runs.items() if count < 2} == {}


def test_the_same_seed_is_the_same_run() -> None:
    """A failure is repeated by its line alone."""
    assert play("again", STEPS) == play("again", STEPS)


# Rules that are taken away


def without(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *rules: tuple[str, str]) -> None:
    """Replace these pieces of a function's text, which must be there, in the function that runs."""
    function = getattr(owner, name)
    text = textwrap.dedent(inspect.getsource(function))
    for rule, instead in rules:
        assert rule in text, f"{name} does not say {rule!r} any more: this mutant must follow it"
        text = text.replace(rule, instead)
    found: dict[str, Any] = {}
    exec(compile(text, f"<{name} without a rule>", "exec"), function.__globals__, found)
    monkeypatch.setattr(owner, name, found[name])


def calls_of_an_interrupted_turn() -> list[str]:
    """Operations of the turn in which a collect is interrupted."""
    stand, logic, called = Stand(), Answerer(), list[str]()
    loop = stand.loop(logic, fixed=False)
    stand.turn(loop, times=3)
    logic.topic_id = stand.bus.topic_id("features")
    stand.feed(6)
    stand.cluster.rebalance_during_next_collect(stand.cluster.group(NAMES.group("inference")).members[0])
    stand.cluster.before = lambda _client, operation: called.append(operation)
    stand.turn(loop, times=1)
    return called


def test_an_interrupted_batch_never_reaches_the_broker() -> None:
    """Not because a broker would refuse it: while an eager group waits for others to join again, it would not."""
    called = calls_of_an_interrupted_turn()
    assert "collect" in called
    assert "commit" not in called


def test_without_its_rule_an_interrupted_batch_reaches_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    without(monkeypatch, Partitions, "collect", ("got is not None and got.interrupted", "False"))
    assert "commit" in calls_of_an_interrupted_turn()
