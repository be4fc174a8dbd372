"""Retraining in a small world of alarms, commands, growing rows and failing jobs, killed between any two steps."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Announce, Fact
from freshet.contracts.messages import Alarm, Command
from freshet.retraining.core.retraining_decider import RetrainingDecider
from freshet.training.trainer import TrainingError
from support.registry import PIPELINE
from support.retraining import World, refold

SECTIONS = st.sampled_from(
    [
        "",
        "triggers: [{kind: alarm}, {kind: rows, every: 300}], min_rows: 50",
        "triggers: [{kind: alarm, suspected: 2}, {kind: age, after: 1h}], cool_down_rows: 400",
        'triggers: [{kind: schedule, at: "03:00"}, {kind: rows, every: 200}], most_per_day: 2, min_rows: 100',
        "triggers: [{kind: alarm}], nonsense: 1",
    ]
)
HOUR_MS = 3_600_000


def steps(decider: RetrainingDecider, now_ms: int) -> list[Announce]:
    """What this owner would commit now."""
    return [effect for effect in decider.decide(PIPELINE, now_ms) if isinstance(effect, Announce)]


class Occasions(RuleBasedStateMachine):
    """Any order of what drift detection, people, the log, jobs, clocks and crashes can do. `World` holds the laws."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.specifications = 0
        self.names = 0

    @initialize(section=SECTIONS, rows=st.integers(0, 1000))
    def begin(self, section: str, rows: int) -> None:
        """A pipeline that answers."""
        self.world.rows = rows
        self.apply(section)
        self.world.serve()

    @rule(section=SECTIONS)
    def apply(self, section: str) -> None:
        """The operator publishes the next specification, sound or not."""
        self.specifications += 1
        self.world.apply(section, self.specifications)

    @rule(by=st.sampled_from([1, 50, 199, 200, 1000]))
    def grow(self, by: int) -> None:
        """Labels come."""
        self.world.rows += by

    @rule(
        back=st.integers(0, 500),
        level=st.sampled_from(["detected", "suspected"]),
        cause=st.sampled_from(["world", "world", "unknown", "own_rollout", "data_quality"]),
    )
    def alarm(self, back: int, level: str, cause: str) -> None:
        """Drift detection raises an alarm."""
        self.names += 1
        test = (max(0, self.world.rows - back), self.world.rows)
        self.world.alarm(f"a{self.names}", test, level=level, cause=cause)

    @rule(ttl_ms=st.sampled_from([100, HOUR_MS]), again=st.booleans(), withdrawn=st.booleans(), dry=st.booleans())
    def ask(self, ttl_ms: int, again: bool, withdrawn: bool, dry: bool) -> None:
        """A person asks for a training, perhaps for a second time, or takes it back."""
        self.names += not (again and self.names)
        self.world.ask(f"c{self.names}", ttl_ms, "dry run" if dry else "", withdrawn)

    @rule(version=st.integers(1, 3))
    def promote(self, version: int) -> None:
        """Another version answers."""
        self.world.serve(f"1.{version}.0", epoch=len(self.world.log))

    @rule(by_ms=st.sampled_from([1, 1000, HOUR_MS, 25 * HOUR_MS]))
    def wait(self, by_ms: int) -> None:
        """Time passes."""
        self.world.now_ms += by_ms

    @rule(error=st.sampled_from([TrainingError("one class only."), FreshetError("no memory.")]))
    def trip(self, error: FreshetError) -> None:
        """The next training will not come to a model."""
        self.world.results.append(error)

    @rule(trainings=st.booleans())
    def run_jobs(self, trainings: bool) -> None:
        """Jobs end."""
        self.world.run_jobs(trainings=trainings)

    @rule(times=st.integers(1, 4))
    def decide(self, times: int) -> None:
        """The owner goes on."""
        for _ in range(times):
            self.world.decide()

    @rule()
    def settle(self) -> None:
        """Everything goes on until nothing happens."""
        self.world.settle()

    @rule(uncommitted=st.booleans())
    def crash(self, uncommitted: bool) -> None:
        """The owner dies, perhaps between a decision and its commit."""
        if uncommitted:
            self.world.decider.decide(PIPELINE, self.world.now_ms)
        self.world.crash()

    @rule(shuffle=st.randoms(use_true_random=False))
    def start_anew(self, shuffle: random.Random) -> None:
        """A successor does the same however the topics' records mix, and if it reads some of them twice."""
        facts = [fact for fact in self.world.log for _ in range(shuffle.choice([1, 2]))]
        by_role = {role: iter([fact for fact in facts if fact.role == role]) for role in {fact.role for fact in facts}}
        roles = [fact.role for fact in facts]
        shuffle.shuffle(roles)
        mixed = refold([next(by_role[role]) for role in roles])
        straight = refold(self.world.log)
        for _ in range(3):
            first, second = steps(mixed, self.world.now_ms), steps(straight, self.world.now_ms)
            assert first == second
            for effect in first:
                for decider in (mixed, straight):
                    decider.fold(Fact(effect.role, effect.key, effect.message))

    def teardown(self) -> None:
        """In the end every command and every sure alarm has its one answer, and nothing is under way."""
        self.specifications += 1
        self.world.apply("triggers: [{kind: alarm}], min_rows: 10", self.specifications)
        self.world.rows += 1000
        for _ in range(12):
            self.world.later(2 * HOUR_MS)
        told = [fact.message for fact in self.world.log]
        asked = {message.command_id for message in told if isinstance(message, Command)}
        sure = {message.id for message in told if isinstance(message, Alarm) and message.level == "detected"}
        answered = self.world.laws.answered
        assert {name for kind, name in answered if kind == "command"} == asked
        assert {name for kind, name in answered if kind == "alarm"} >= sure
        assert self.world.laws.under_way() == []


TestOccasions = Occasions.TestCase
TestOccasions.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True)
TestOccasions.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined]
