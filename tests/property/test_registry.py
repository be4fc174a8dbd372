"""The registry in a small world where workers lag, fail and die, and the registry is killed between any two steps."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from freshet.contracts.logic import Announce
from freshet.contracts.messages import Action, Decision
from freshet.registry.core.decider import RegistryDecider
from support.registry import BEAT_MS, PREPARE_MS, Judgement, World, candidate, decided, ready, refold, worker

WORKERS = st.sampled_from(["w1", "w2", "w3"])
POLICIES = st.sampled_from(["manual", "immediate", "gated"])
ACTIONS: st.SearchStrategy[Action] = st.sampled_from(
    ["promote", "rollback", "pause", "resume", "resume", "retire", "annotate", "reinstate"]
)
LONG_MS = 10 * PREPARE_MS
GOOD, BAD = Judgement(), Judgement(admitted=False, reason="golden_rows", detail="off by 1.")


def announced_by(decider: RegistryDecider, now_ms: int) -> list[Announce]:
    """What this registry would commit now."""
    return [effect for effect in decided(decider, now_ms) if isinstance(effect, Announce)]


def is_verdict(batch: list[Announce]) -> bool:
    """Whether the batch answers a candidate."""
    return any(isinstance(each.message, Decision) and each.message.about == "candidate" for each in batch)


class Rollouts(RuleBasedStateMachine):
    """Any order of what people, workers, jobs, clocks and crashes can do to the registry."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.laws = self.world.laws
        self.models = 0
        self.specifications = 0

    @initialize(policy=POLICIES, models=st.integers(0, 3))
    def begin(self, policy: str, models: int) -> None:
        """A pipeline with some models; nothing serves yet unless its policy says so."""
        self.apply(policy)
        for _ in range(models):
            self.publish(GOOD, ("amount",), "d1", again=False)
        self.world.settle()

    @rule(policy=POLICIES)
    def apply(self, policy: str) -> None:
        """The operator publishes the next specification."""
        self.specifications += 1
        self.world.apply(policy, self.specifications)

    @rule(
        judgement=st.sampled_from([GOOD, GOOD, GOOD, BAD, "no sandbox."]),
        inputs=st.sampled_from([("amount",), ("amount",), ("amount", "hour")]),
        data=st.sampled_from(["d1", "d2"]),
        again=st.booleans(),
    )
    def publish(self, judgement: Judgement | str, inputs: tuple[str, ...], data: str, again: bool) -> None:
        """A new candidate, or one that was published before."""
        self.models += not (again and self.models)
        lineage = {"training_set": data, "champion": self.laws.serving, "gate": "pass"}
        asked = candidate(f"m{self.models}", inputs=inputs, lineage=lineage)
        self.world.judgements.setdefault(asked.manifest.digest, judgement)
        self.world.publish(asked)

    @rule(action=ACTIONS, version=st.integers(0, 4), blind=st.booleans(), ttl_ms=st.sampled_from([BEAT_MS, LONG_MS]))
    def command(self, action: Action, version: int, blind: bool, ttl_ms: int) -> None:
        """An operator asks for something, sensible or not, about a version, an unknown one or none."""
        names = [*sorted(self.world.models()), "9.0.0", ""]
        expected = None if blind else version
        self.world.command(action, names[version % len(names)], expected=expected, ttl_ms=ttl_ms)

    @rule(version=st.integers(0, 4))
    def promote(self, version: int) -> None:
        """A sensible promotion, which the workers and the registry follow at once."""
        names = sorted(self.world.models())
        if names:
            self.world.command("promote", names[version % len(names)])
            self.world.settle()
            self.prepare("w1", "ok")
            self.world.settle()

    @rule(instance=WORKERS, verdict=st.sampled_from(["ok", "ok", "ok", "no_memory"]))
    def prepare(self, instance: str, verdict: str) -> None:
        """A worker has finished with everything that is being prepared."""
        opened = [epoch for epoch, rollout in self.world.rollouts().items() if rollout.phase == "prepare"]
        self.world.beat(worker(instance, prepared=ready(*opened, verdict=verdict)))

    @rule(instance=WORKERS, leaving=st.booleans())
    def beat(self, instance: str, leaving: bool) -> None:
        """A worker joins, or lags, or leaves."""
        self.world.beat(worker(instance, leaving=leaving))

    @rule(instance=WORKERS)
    def forget(self, instance: str) -> None:
        """The topic drops a worker."""
        self.world.tell("workers", instance, None)

    @rule(instance=WORKERS, version=st.integers(0, 9))
    def quarantine(self, instance: str, version: int) -> None:
        """The serving version fails, or another one that this worker once ran."""
        known = sorted(self.world.models())
        failed = known[version] if version < len(known) else self.laws.serving
        self.world.beat(worker(instance, quarantined=(failed,) if failed else ()))

    @rule(by_ms=st.sampled_from([1, BEAT_MS, 3 * BEAT_MS + 1, PREPARE_MS + 1]))
    def wait(self, by_ms: int) -> None:
        """Time passes; whoever is silent for long is dead."""
        self.world.now_ms += by_ms

    @rule()
    def run_jobs(self) -> None:
        """Admissions finish."""
        self.world.run_jobs()

    @rule(times=st.integers(1, 4))
    def decide(self, times: int) -> None:
        """The registry decides and commits what a successor would, but for verdicts on jobs that died with it."""
        for _ in range(times):
            successor = announced_by(refold(self.world.log), self.world.now_ms)
            batch = self.world.decide()
            assert batch == successor or is_verdict(batch), "the registry and its successor differ"

    @rule(uncommitted=st.booleans())
    def crash(self, uncommitted: bool) -> None:
        """The registry dies, perhaps between a decision and its commit."""
        if uncommitted:
            decided(self.world.decider, self.world.now_ms)
        self.world.crash()

    @rule(shuffle=st.randoms(use_true_random=False))
    def start_anew(self, shuffle: random.Random) -> None:
        """A successor decides the same however the topics' records mix, and if it reads some of them twice.

        Even the order within a topic is of no account, but where tombstones are: among workers.
        """
        facts = [fact for fact in self.world.log for _ in range(shuffle.choice([1, 2]))]
        workers = iter([fact for fact in facts if fact.role == "workers"])
        shuffle.shuffle(facts)
        mixed = [next(workers) if fact.role == "workers" else fact for fact in facts]
        now_ms = self.world.now_ms
        assert announced_by(refold(mixed), now_ms) == announced_by(refold(self.world.log), now_ms)

    @precondition(lambda self: self.specifications)
    @rule()
    def roll_back(self) -> None:
        """Whatever is going on, whoever has a predecessor can be rolled back within one decision of its turn.

        Where workers hold that one: of a version that only came back from quarantine, the workers are asked first.
        """
        self.world.settle()
        live, before, possible = self.laws.live, self.laws.serving, self.laws.previous()
        self.world.beat(worker("w1", resident=live.resident if live else ()))
        self.world.settle()
        asked = self.world.command("rollback")
        self.world.decide()
        if live is not None and possible and not live.understudies:
            assert (self.laws.serving, self.laws.rollouts[max(self.laws.rollouts)].phase) == (before, "prepare")
        elif live is not None and possible:
            assert self.laws.answers[asked] == "done"
            assert self.laws.serving in possible
        else:
            assert (self.laws.answers[asked], self.laws.serving) == ("refused", before)

    def teardown(self) -> None:
        """In the end everything is answered and nothing is left open."""
        self.world.now_ms += 11 * PREPARE_MS
        self.world.settle()
        assert self.laws.unanswered() == set()
        assert all(rollout.phase != "prepare" for rollout in self.laws.rollouts.values())


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
TestRollouts.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined]
