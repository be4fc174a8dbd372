"""What retraining says while a story is told: what led to each training, what it cost, and what came of it."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from freshet.contracts.logic import Fact
from freshet.contracts.training_message import Training
from freshet.lab.demo.narrator import Narrator
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.quality.quality_tables import share
from freshet.operate.training_runs import Run, runs_of
from freshet.runtime.feed import Feed

_PATIENCE_S: Final = 300.0


class TrainingWatch:
    """Trainings of a deployment's pipeline, and the verdicts on their models, taken in as they come."""

    def __init__(self, deployment: LocalDeployment) -> None:
        self._deployment = deployment
        self._feed = Feed(deployment.bus.reader(["trainings", "models", "decisions"]))
        self._facts: list[Fact] = []

    @property
    def runs(self) -> Sequence[Run]:
        """All that have been taken in, the oldest first; occasions that led to no training among them."""
        return runs_of(self._facts, self._deployment.spec.pipeline)

    def wait_begun(self, after: int) -> Run:
        """The first training that begins behind so many runs. Raises LocalError if none comes."""
        return self._wait("a training", lambda run: run.last.phase != "skipped", after)

    def wait_end(self, after: int) -> Run:
        """The end of the first run behind so many that led to a model or to nothing, with the registry's word on that
        model. Raises LocalError if none comes.
        """
        return self._wait("a training to end", is_done, after)

    def wait_done(self, training: str) -> Run:
        """The end of this training, with the registry's word on its model. Raises LocalError if none comes."""
        return self._wait("the training to end", lambda run: run.last.training == training and is_done(run), 0)

    def take(self) -> None:
        """Take in what is there."""
        self._facts += self._feed.facts()

    def close(self) -> None:
        """Free the reader."""
        self._feed.close()

    def _wait(self, what: str, is_it: Callable[[Run], bool], after: int) -> Run:
        def found() -> Run | None:
            self.take()
            return next((run for run in self.runs[after:] if is_it(run)), None)

        return self._deployment.view.wait(what, lambda _: found(), _PATIENCE_S)


def is_done(run: Run) -> bool:
    """Whether it has ended, and the registry has said its word on the model if there is one."""
    return run.last.phase in ("skipped", "failed") or (run.last.phase == "finished" and run.model is not None)


def show_trainings(narrator: Narrator, runs: Sequence[Run]) -> None:
    """A line for each, and what all of them cost. Occasions in a row with one and the same outcome are counted."""
    for line, group in groupby(map(training_line, runs)):
        times = len(list(group))
        narrator.text(f"  {line}" if times == 1 else f"  {line} ({times} times)")
    trained = [run.last for run in runs if run.last.phase == "finished"]
    cpu_s = sum(record.cpu_ms for record in trained) / 1000
    narrator.text(f"  trainings that finished: {len(trained)}; they took {cpu_s:.1f} s of CPU.")


def training_line(run: Run) -> str:
    """What led to it, from which rows of the labelled log it learned, how good the model is, and what came of it."""
    last = run.last
    if last.phase != "finished":
        return f"trigger {last.trigger}: {run.outcome}"
    learned = f"rows {last.from_row:,} to {last.cut_row:,}, trigger {last.trigger}"
    cost = f"{last.trainer} in {last.cpu_ms / 1000:.1f} s of CPU"
    return f"{learned}: {cost}; {merits(run)}; gate {last.gate}: {run.outcome}"


def training_plan(begun: Training) -> str:
    """From which rows of the labelled log a training that has begun learns, and why."""
    cause, rival = f"{begun.trigger} {begun.trigger_id[:8]}", begun.champion or "nothing"
    return (
        f"training {begun.training[:8]}, because of {cause}: {begun.trainer} learns from rows {begun.from_row:,} to "
        f"{begun.cut_row:,} of the labelled log, and is tried on those to {begun.end_row:,} beside {rival}"
    )


def merits(run: Run) -> str:
    """How good candidate and champion are on the rows that both were tried on."""
    metrics, rival = run.last.metrics, run.last.champion
    if "candidate.accuracy" in metrics:
        told = f"{share(metrics['candidate.accuracy'])} right"
        against = f", {rival} {share(metrics['champion.accuracy'])}" if "champion.accuracy" in metrics else ""
    elif "candidate.mae" in metrics:
        told = f"MAE {metrics['candidate.mae']:.4g}"
        against = f", {rival} {metrics['champion.mae']:.4g}" if "champion.mae" in metrics else ""
    else:
        return "tried on no rows"
    return f"{told}{against} on {run.last.holdout_rows:,} others"
