"""Every rollout policy, ours and installed ones: never two champions, always settles, every state can roll back.

`World` holds every commit to the laws of `support.registry_laws`; among them, that one version alone is the champion.
"""

from itertools import product, starmap

import pytest

from freshet.contracts.messages import Change, ModelState, ModelVersion
from freshet.ledger.versions import VersionState
from freshet.pipeline.catalogue import Catalogue
from freshet.pipeline.gate import GateVerdict
from freshet.registry.core.policy import Policy, View
from freshet.testing import check_policy
from support.registry import PIPELINE, World, candidate, ready, worker

CATALOGUE = Catalogue(Policy, "freshet.policies")
ANSWERS = ["ok", "no_memory", None]
"""How the only worker takes to a prepare; None leaves it unanswered until the deadline."""


@pytest.fixture(params=CATALOGUE.kinds())
def kind(request: pytest.FixtureRequest) -> str:
    """Each known kind in turn."""
    return str(request.param)


def follow(world: World, answer: str | None) -> int:
    """Let the registry and its only worker go on until no prepare is open; how many prepares there were."""
    state = worker()
    for count in range(20):
        world.beat(state)
        world.settle()
        opened = [epoch for epoch, rollout in world.rollouts().items() if rollout.phase == "prepare"]
        if not opened:
            return count
        if answer is None:
            world.now_ms = world.rollouts()[opened[0]].deadline_ms + 1
        else:
            state = worker(prepared=ready(*opened, verdict=answer))
    raise AssertionError("the policy starts one rollout after the other although nothing else changes")


def lineage(world: World, verdict: str = "pass") -> dict[str, str]:
    """That of a model which retraining has compared with the version that answers."""
    return {"champion": world.serving(), **GateVerdict(verdict, (f"accuracy: {verdict}",)).lineage}  # type: ignore[arg-type]


def grown(kind: str, answers: tuple[str | None, ...]) -> World:
    """A world under this policy in which models came one by one, and workers took to them like this."""
    world = World()
    world.apply(kind)
    for number, answer in enumerate(answers):
        world.publish(candidate(f"m{number}", lineage=lineage(world)))
        follow(world, answer)
    return world


@pytest.mark.parametrize("answers", list(product(ANSWERS, repeat=3)))
def test_policy_settles(kind: str, answers: tuple[str | None, ...]) -> None:
    """However workers answer: with no new model and no command, at most one rollout for each model is ever begun."""
    world = grown(kind, answers)
    begun = len(world.rollouts())
    assert begun <= len(answers)
    assert follow(world, "ok") == 0
    assert len(world.rollouts()) == begun


@pytest.mark.parametrize("answers", list(product(ANSWERS, repeat=2)))
def test_every_state_can_roll_back(kind: str, answers: tuple[str | None, ...]) -> None:
    """Settled or in the middle of a rollout: a rollback leads to the predecessor, and the policy lets it be."""
    world = grown(kind, ("ok", "ok"))
    for version in ("1.0.0", "1.1.0"):
        world.command("promote", version)
        follow(world, "ok")
    for answer in (*answers, "stop"):
        world.publish(candidate(f"after {len(world.log)}", lineage=lineage(world)))
        if answer != "stop":
            follow(world, answer)
        world.settle()
        possible = world.laws.previous()
        asked = world.command("rollback")
        follow(world, "ok")
        assert world.verdict(asked) == ("done" if possible else "refused")
        assert not possible or world.serving() in possible


def test_policy_respects_pause(kind: str) -> None:
    """Whatever a policy wants, nothing is prepared while rollouts are paused."""
    world = grown(kind, ("ok",))
    world.command("pause")
    world.publish(candidate("new"))
    follow(world, "ok")
    assert all(rollout.phase != "prepare" for rollout in world.rollouts().values())
    assert "1.1.0" not in {share.version for rollout in world.rollouts().values() for share in rollout.table}


def test_a_policy_keeps_the_promises_of_all(kind: str) -> None:
    """Whatever it sees and whatever happens, without a registry: `check_policy` says which, and it is public."""
    check_policy(CATALOGUE.find(kind))


def test_of_versions_that_passed_their_gate_it_chooses_only_what_may_serve(kind: str) -> None:
    """In every view of three versions: an admitted version that does not serve yet, or none; and always the same."""
    numbers = ("1.0.0", "1.1.0", "2.0.0")
    known: tuple[ModelState, ...] = ("admitted", "retired", "quarantined")
    for states in product(known, repeat=3):
        standings = tuple(starmap(VersionState, zip(numbers, states, strict=True)))
        for serving, tried in product(("", *numbers), (frozenset[str](), frozenset(numbers[:1]), frozenset(numbers))):
            records = {number: _record(number, state, serving) for number, state in zip(numbers, states, strict=True)}
            view = View(standings, serving, tried | ({serving} if serving else frozenset()), records)
            chosen = CATALOGUE.find(kind)().choose(view)
            assert chosen == CATALOGUE.find(kind)().choose(view)
            assert CATALOGUE.find(kind)().opinion(view) == CATALOGUE.find(kind)().opinion(view)
            assert chosen is None or (chosen != serving and states[numbers.index(chosen)] == "admitted")


def _record(version: str, state: ModelState, serving: str) -> ModelVersion:
    """A version that has passed its gate, and was told so."""
    manifest = candidate(version, lineage={"champion": serving, "gate": "pass"}).manifest
    history = (Change(at_ms=1, what="gate: passed (accuracy: pass)."),)
    return ModelVersion(pipeline=PIPELINE, version=version, state=state, reason="", manifest=manifest, history=history)


def test_immediate_promotes_each_new_model_and_manual_none() -> None:
    """What the two policies are for."""
    assert grown("immediate", ("ok", "ok")).serving() == "1.1.0"
    assert grown("manual", ("ok", "ok")).serving() == ""
