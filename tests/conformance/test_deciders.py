"""What every decider promises: its state is on its topics, so that whoever takes over decides the same."""

from collections import Counter
from random import Random
from typing import Any

from freshet.contracts.logic import Job
from freshet.contracts.messages import Action, Command, Decision, ModelVersion, Rollout
from freshet.contracts.training_message import Training
from freshet.registry.core.admission_job import Admit
from freshet.registry.core.decider import RegistryDecider
from freshet.retraining.core.retraining_decider import RetrainingDecider
from freshet.retraining.core.train_job import Measure, Measured, Train
from freshet.runtime.jobs import Stop
from freshet.testing import MemoryPipeline, check_decider
from support import registry, retraining
from support.registry import PIPELINE, Judgement, candidate, worker

ACTIONS: tuple[Action, ...] = ("promote", "rollback", "pause", "resume", "retire", "annotate", "reinstate")


BAD = candidate("m4").manifest.digest
DONE: Counter[str] = Counter()
"""What was decided: the runs are no walk in the park."""


def ask(chance: Random, pipeline: MemoryPipeline, *actions: Action) -> None:
    """An operator asks for something, sensible or not."""
    asked = Command(
        command_id=f"c{chance.randrange(10**9)}",
        pipeline=PIPELINE,
        action=chance.choice(actions),
        version=chance.choice(["1.0.0", "1.1.0", "9.0.0", ""]),
        expires_at_ms=pipeline.clock.now_ms() + chance.choice([1_000, 600_000]),
        by="ops",
    )
    pipeline.tell("commands", PIPELINE, asked)


def answered_once(pipeline: MemoryPipeline) -> None:
    """Each command has exactly one decision."""
    asked = [command.command_id for command in pipeline.messages("commands", Command)]
    told = [one.subject for one in pipeline.messages("decisions", Decision) if one.about == "command"]
    assert sorted(told) == sorted(asked)
    DONE.update(rollout.phase for rollout in pipeline.messages("rollouts", Rollout))
    DONE.update(version.state for version in pipeline.messages("models", ModelVersion))


def test_the_registry() -> None:
    """Candidates, good, refused and repeated ones, commands, and workers that hold models or fail with them."""

    def happen(chance: Random, pipeline: MemoryPipeline) -> None:
        match chance.randrange(3):
            case 0:
                asked = candidate(f"m{chance.randrange(5)}")
                pipeline.tell("candidates", f"{PIPELINE}/{asked.manifest.digest}", asked)
            case 1:
                ask(chance, pipeline, *ACTIONS)
            case _:
                failed = chance.choice([(), (), ("1.0.0",), ("1.1.0",)])
                prepared = registry.ready(*range(1, 30), verdict=chance.choice(["ok", "ok", "no_memory"]))
                beat = worker("w1", prepared=prepared, quarantined=failed)
                pipeline.tell("workers", "w1", beat)

    def admit(job: Job[Any], _stop: Stop) -> object:
        assert isinstance(job, Admit)
        return Judgement(admitted=job.digest != BAD, reason="parity")

    for policy in ("immediate", "manual"):
        told = registry.specification(policy)
        check_decider(
            RegistryDecider,
            "registry",
            happen=happen,
            prepare=lambda pipeline, told=told: pipeline.tell("pipelines", f"{PIPELINE}/1", told),  # type: ignore[misc]
            judge=answered_once,
            jobs=admit,
        )
    for what in ("live", "aborted", "admitted", "refused", "quarantined", "retired"):
        assert DONE[what] > 5, DONE


def test_retraining() -> None:
    """Commands and alarms on a labelled log that grows."""

    def happen(chance: Random, pipeline: MemoryPipeline) -> None:
        if chance.random() < 0.5:
            ask(chance, pipeline, "retrain")
        else:
            first = chance.randrange(3_000)
            pipeline.tell("alarms", PIPELINE, retraining.alarm(f"a{first}", (first, first + 500)))

    def run(job: Job[Any], _stop: Stop) -> object:
        if isinstance(job, Measure):
            return Measured(5_000, 499, 1_000, {0: 5_000})
        assert isinstance(job, Train)
        return retraining.trained(job)

    def prepare(pipeline: MemoryPipeline) -> None:
        told = retraining.specification(
            "trainer: {kind: logistic-regression}, triggers: [{kind: command}, {kind: alarm}]"
        )
        pipeline.tell("pipelines", f"{PIPELINE}/1", told)

    def judge(pipeline: MemoryPipeline) -> None:
        DONE.update(f"{told.trigger} {told.phase}" for told in pipeline.messages("trainings", Training))

    make = lambda: RetrainingDecider(retraining.code)  # noqa: E731 (a def would say no more)
    check_decider(make, "retraining", happen=happen, prepare=prepare, judge=judge, jobs=run)
    for what in ("command finished", "alarm finished", "alarm skipped"):
        assert DONE[what] > 5, DONE
