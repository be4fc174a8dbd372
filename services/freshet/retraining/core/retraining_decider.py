"""Retraining: sees that it is time for a new model, has it trained, and tells what became of every occasion."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from freshet.contracts.logic import Announce, Cancel, Decider, Fact, Outcome, Start
from freshet.contracts.training_message import Training
from freshet.pipeline.trigger import Occasion, Seen, Trigger
from freshet.retraining.core import training_records
from freshet.retraining.core.looks import Looks
from freshet.retraining.core.runs import Runs
from freshet.retraining.core.train_job import Measured
from freshet.retraining.core.training_plan import answer, skipped
from freshet.retraining.core.training_state import Specification, TrainingState, TrainingStates
from freshet.retraining.core.triggers.asked import CommandTrigger

_MOST_AT_ONCE = 100
"""Occasions that one transaction answers."""


class RetrainingDecider(Decider):
    """Each occasion of a trigger leads to exactly one training, or to one record that says why not.

    What it will do it says first: the record `started` holds rows, parameters and seed, and only when it is committed
    the job begins. Whoever takes over does a training that has no end again, from the same record. Of a pipeline one
    training is under way at a time; what comes up meanwhile waits for its end.
    """

    follows: ClassVar[tuple[str, ...]] = ("pipelines", "models", "rollouts", "alarms", "commands")
    owns: ClassVar[tuple[str, ...]] = ("trainings",)

    def __init__(self, code: Callable[[str], str]) -> None:
        """`code` gives the digest of the code that trains, by kind of trainer: other code may make another model."""
        self._code = code
        self._pipelines = TrainingStates()
        self._looks, self._runs = Looks(), Runs()
        self._shorter: dict[str, list[Announce]] = {}
        """By pipeline: what stands in for announcements that could not be written."""

    def fold(self, fact: Fact) -> None:
        """See `Decider`; facts of different roles may come in any order."""
        self._pipelines.fold(fact)
        if isinstance(fact.message, Training):
            self._runs.forget(fact.message)

    def pipelines(self) -> list[str]:
        """See `Decider`."""
        return [state.name for state in self._pipelines]

    def decide(self, pipeline: str, now_ms: int) -> list[Announce | Start | Cancel]:
        """See `Decider`. What has begun first, then what cannot begin any more, then what is due."""
        state = self._pipelines.state(pipeline)
        if shorter := self._shorter.pop(pipeline, None):
            return [*shorter]
        begun = state.trainings.open
        if begun is not None and (effects := self._runs.go_on(state, begun, now_ms)):
            return effects
        if lapsed := _lapsed(state, now_ms):
            return [*lapsed]
        rules = state.in_force
        return self._due(state, rules, now_ms) if begun is None and rules is not None else []

    def on_too_large(self, pipeline: str, announced: Sequence[Announce], why: str) -> None:
        """See `Decider`."""
        self._shorter[pipeline] = training_records.shortened(announced, why)

    def on_job(self, outcome: Outcome[Any]) -> None:
        """A training or a look at the log has ended."""
        self._runs.end(outcome)
        self._looks.end(outcome)

    def _due(self, state: TrainingState, rules: Specification, now_ms: int) -> list[Announce | Start | Cancel]:
        """Answers to what is due, as far as the log has been looked at since, and the next look."""
        triggers = _triggers(rules)
        known = _occasions(triggers, state.seen(now_ms, None))
        waiting = [(occasion.kind, occasion.id) for occasion in known]
        measured = self._looks.take(state.name, waiting)
        if measured is not None and (answers := self._answers(state, rules, triggers, measured, now_ms)):
            return [*answers]
        if not waiting and not any(trigger.counts_rows for trigger in triggers):
            return []
        partitions = rules.spec.partitions if rules.spec is not None else 1
        late = any(occasion.from_row for occasion in known)
        return [*self._looks.next(state.name, partitions, waiting, now_ms, late=late)]

    def _answers(
        self, state: TrainingState, rules: Specification, triggers: Sequence[Trigger], measured: Measured, now_ms: int
    ) -> list[Announce]:
        """Up to the first training, in the order of importance; the rest waits for its end.

        As long as a change is not learned from, no other training begins on rows from before it, which are of an older
        world, unless a person asks.
        """
        code = self._code(_trainer(rules))
        occasions = _occasions(triggers, state.seen(now_ms, measured))[:_MOST_AT_ONCE]
        said = [(one, answer(state, rules, one, measured, now_ms=now_ms, code=code)) for one in occasions]
        open_changes = [one.from_row for one, record in said if record is None or record.phase == "started"]
        change, found = max(open_changes, default=0), []
        for occasion, record in said:
            if record is None:
                continue
            if record.phase != "started":
                found.append(training_records.told(record))
            elif (occasion.by or occasion.from_row >= change) and not state.awaits_verdict(now_ms):
                return [*found, training_records.told(record)]
        return found


def _triggers(rules: Specification) -> list[Trigger]:
    """Commands first: a person is waiting."""
    listed = rules.spec.retraining.triggers if rules.spec is not None else ()
    return [CommandTrigger(), *(trigger for trigger in listed if not isinstance(trigger, CommandTrigger))]


def _trainer(rules: Specification) -> str:
    return rules.spec.retraining.trainer.kind if rules.spec is not None else ""


def _occasions(triggers: Sequence[Trigger], seen: Seen) -> list[Occasion]:
    """What is due and has no answer, each once, the most important first."""
    due = [occasion for trigger in triggers for occasion in trigger.occasions(seen)]
    unanswered = [occasion for occasion in due if occasion.id not in seen.answered_of(occasion.kind)]
    return list({(occasion.kind, occasion.id): occasion for occasion in unanswered}.values())


def _lapsed(state: TrainingState, now_ms: int) -> list[Announce]:
    """Commands that were withdrawn, or that could not begin in time: they need no look at the log."""
    asked = CommandTrigger().occasions(state.seen(now_ms, None)) if state.commands else ()
    unknown = "" if state.in_force is not None else " No pipeline of this name has been applied."
    return [
        training_records.told(skipped(state, state.in_force, occasion, occasion.objection + unknown, now_ms=now_ms))
        for occasion in asked
        if occasion.objection
    ]
