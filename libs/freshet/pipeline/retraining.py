"""The section `retraining` of pipeline.yaml: when a new model is trained, how, and what it must be worth."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from freshet.pipeline.catalogue import trainers, triggers
from freshet.pipeline.gate import Clause
from freshet.pipeline.parts import ByKind, SpecModel
from freshet.pipeline.text import Path
from freshet.pipeline.trigger import Trigger
from freshet.training.trainer import Trainer

AnyTrainer = Annotated[SerializeAsAny[Trainer], ByKind(trainers)]
AnyTrigger = Annotated[SerializeAsAny[Trigger], ByKind(triggers)]


def _usual_trainer() -> Trainer:
    return trainers().find("hist-gradient-boosting")()


class RetrainingSpec(SpecModel):
    """How new models come to be. Without triggers, only a person's command leads to one."""

    trainer: AnyTrainer = Field(default_factory=_usual_trainer)
    """What learns; by default boosted trees, which are hard to beat on rows of numbers."""
    triggers: tuple[AnyTrigger, ...] = ()
    """What leads to a training, the most important first. A command always does."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of all randomness of a training: the same rows, parameters and seed give the same model."""
    min_rows: int = Field(default=200, ge=10)
    """From fewer labelled rows nothing is learned: what comes of them is luck."""
    max_rows: int = Field(default=100_000, ge=10)
    """It learns from so many of the newest rows; all older ones stay in the log."""
    holdout: float = Field(default=0.2, ge=0, le=0.5)
    """Share of the rows, the newest, that it is tried on and does not learn from; 0 learns from all, untried."""
    cool_down_rows: int = Field(default=0, ge=0)
    """Rows that must have come since the last training before a trigger leads to the next; a command need not wait."""
    most_per_day: int = Field(default=24, ge=1)
    """Trainings within 24 hours that triggers may lead to; a command is not counted out by it."""
    gate: tuple[Clause, ...] = ()
    """What a new model must be worth for the policy `gated` to roll it out: every clause must hold."""
    approval: Literal["none", "required"] = "none"
    """`required`: whatever the rollout policy, every model waits for `freshet model promote`."""


def retraining_contradictions(
    spec: RetrainingSpec, target: Literal["classes", "value"], slices: Sequence[str]
) -> Iterator[tuple[Path, str]]:
    """Problems between parts that are right by themselves."""
    if spec.min_rows > spec.max_rows:
        yield ("retraining", "min_rows"), f"{spec.min_rows} is above max_rows {spec.max_rows}: it could never train."
    if target not in spec.trainer.learns:
        kinds = [kind for kind in trainers().kinds() if target in trainers().find(kind).learns]
        wanted = "a number" if target == "value" else "classes"
        yield (
            ("retraining", "trainer"),
            f"{spec.trainer.kind} cannot predict {wanted}; {', '.join(kinds)} can.",
        )
    if spec.gate and not spec.holdout:
        yield ("retraining", "gate"), "a gate needs rows to try the model on: set `holdout` above 0."
    for index, clause in enumerate(spec.gate):
        for key, message in clause.problems(target, slices):
            yield ("retraining", "gate", index, *key), message
