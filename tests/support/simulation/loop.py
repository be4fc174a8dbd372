"""Chance against the loop that closes: retraining and the registry beside drift, killed anywhere, and started twice."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import numpy as np
import pytest

from freshet.avro.control import decode, encode
from freshet.contracts.arrays import Floats32
from freshet.contracts.logic import Decider, Fact, Job
from freshet.contracts.messages import Command
from freshet.contracts.training_message import Training
from freshet.models.fork_server import ForkServer
from freshet.models.manifest import make_manifest, manifest_to_json
from freshet.operate.verify.retraining.training_judge import LoopJudgement, judge_retraining
from freshet.operate.verify.visible import Patience
from freshet.registry.core.decider import RegistryDecider
from freshet.retraining import training_run
from freshet.retraining.core.retraining_decider import RetrainingDecider
from freshet.retraining.core.train_job import Measure, Train
from freshet.retraining.data_set import DataSet
from freshet.retraining.log_reading import measure
from freshet.retraining.training_process import TrainedModel, run_training
from freshet.runtime.bus.protocol import Send
from freshet.runtime.jobs import Stop
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.reading import everything
from freshet.runtime.telemetry import Metrics
from support.join_stage import NAMES
from support.join_world import PIPELINE
from support.labelled import NEVER
from support.registry import Judgement
from support.retraining_laws import Laws
from support.simulation.drift import DriftPlay, Worker, play_through
from support.simulation.processes import LateJobs

_METRICS: Final = Metrics()
_HOUR_MS: Final = 3_600_000
_CALLS: Final = 60
"""A death comes at one of so many next calls of a process."""
_RETRAINING: Final = """
rollout: {policy: gated}
retraining:
  trainer: {kind: logistic-regression}
  triggers: [{kind: alarm, suspected: 3}, {kind: rows, every: 60}]
  min_rows: 20
  cool_down_rows: 20
  gate: [{metric: accuracy, not_worse_by: 0.2}]
"""


class LoopPlay(DriftPlay):
    """Two processes of retraining and a registry beside drift's, people who ask for models, and trouble.

    Drift's offsets and state are left alone here: it has runs of its own.
    """

    SECTIONS = DriftPlay.SECTIONS + _RETRAINING

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.well = False
        """Whether jobs end in the turn after they began."""
        self.asked: list[Command] = []
        self.laws, self.trained = Laws(), Counter[str]()
        self.retrainers = [Worker("retraining", self._retraining) for _ in range(2)]
        self.workers += [*self.retrainers, Worker("registry", self._registry)]

    def things(self) -> dict[Callable[[], None], int]:
        """See `DriftPlay`."""
        return {
            self.busy: 10,
            self.turn: 10,
            self.change: 2,
            self.retrain: 4,
            self.publish: 1,
            self.crash_retraining: 10,
            self.crash: 3,
            self.refuse: 2,
            self.close: 3,
            self.rebalance: 1,
            self.pass_time: 3,
            self.two_days: 1,
        }

    def busy(self) -> None:
        """Enough is asked and told for a model."""
        for _ in range(3):
            self.ask()
            self.turn()
            self.tell()

    def retrain(self) -> None:
        """A person asks for a training, perhaps for a second time, or takes it back."""
        if self.asked and self.random.random() < 0.3:
            command = self.random.choice(self.asked)
            withdrawn = self.random.random() < 0.5
            command = command.model_copy(update={"expires_at_ms": 0}) if withdrawn else command
        else:
            expires_ms = self.clock.now_ms() + self.random.choice([1_000, _HOUR_MS])
            command = Command(
                command_id=f"c{len(self.asked)}",
                pipeline=PIPELINE,
                action="retrain",
                text=self.random.choice(["", "", "dry run"]),
                expires_at_ms=expires_ms,
                by="ann@host",
            )
            self.asked.append(command)
        self.bus.producer().send(Send("commands", [PIPELINE.encode()], [encode(command)]))

    def crash_retraining(self) -> None:
        """SIGKILL at some call of retraining or the registry: before a start is told, in a publish, before its end."""
        for _ in range(self.random.choice([1, 4])):
            self.turn()
            self.crash_one(self.random.choice(self.workers[-3:]), self.random.randrange(1, _CALLS))

    def _owner(self, service: str, decider: Decider, run: Callable[[Job[Any]], object]) -> OwnerLoop:
        jobs = LateJobs(run, lambda: not self.well and self.random.random() < 0.5)
        return OwnerLoop(decider, self.bus, NAMES, service=service, jobs=jobs, clock=self.clock, metrics=_METRICS)

    def _retraining(self) -> OwnerLoop:
        def run(job: Job[Any]) -> object:
            if isinstance(job, Measure):
                return measure(job, self.bus)
            assert isinstance(job, Train)
            self.trained[job.training] += 1
            return training_run.train(job, self.bus, NEVER)

        return self._owner("retraining", RetrainingDecider(lambda trainer: f"code of {trainer}"), run)

    def _registry(self) -> OwnerLoop:
        return self._owner("registry", RegistryDecider(), lambda _: Judgement())

    def settle(self) -> None:
        """See `DriftPlay`. Of two processes of retraining one is stopped."""
        self.well = True
        one = self.retrainers[0]
        self._stop(one)
        at = self.workers.index(one)
        del self.workers[at]
        super().settle()
        self.workers.insert(at, one)
        self.well = False

    def unread(self) -> dict[str, int]:
        """See `DriftPlay`; and what retraining has still to do.

        Where nothing was trained yet, the judge cannot know that retraining runs, and expects no answer of it.
        """
        if left := super().unread():
            return left
        answered = {told.trigger_id for told in self._trainings() if told.trigger == "command"}
        unanswered = sum(command.command_id not in answered for command in self.asked)
        todo = {"to train": self._said().pending, "to answer": unanswered}
        return {name: count for name, count in todo.items() if count}

    def _trainings(self) -> list[Training]:
        values = [value for batch in everything(self.bus, "trainings") for value in batch.values if value is not None]
        return [told for told in (decode("trainings", value) for value in values) if isinstance(told, Training)]

    def _said(self) -> LoopJudgement:
        return judge_retraining(self.bus, PIPELINE, patience=Patience(0.0))

    def judge(self) -> None:
        """No breach of the loop's promises, by its judge and by the laws of its records. Drift has runs of its own."""
        found = self._said()
        broken = [finding for finding in found.findings if not finding.ok]
        assert not broken, broken
        facts = [Fact("trainings", PIPELINE, told) for told in self._trainings()]
        self.laws.read(facts)
        assert not self.laws.under_way()
        answered = {name for kind, name in self.laws.answered if kind == "command"}
        assert answered == {command.command_id for command in self.asked}
        self._count(facts)

    def _count(self, facts: list[Fact]) -> None:
        told = [fact.message for fact in facts if isinstance(fact.message, Training)]
        self.done.update(
            {f"trainings {phase}": 0 for phase in ("finished", "failed", "skipped")}
            | {"trainings done again": sum(times > 1 for times in self.trained.values())}
        )
        self.done.update(f"trainings {record.phase}" for record in told)


def quick_training(
    job: Train,
    data: DataSet,
    champion: bytes,
    *,
    lineage: Mapping[str, str],
    timed: bool,
    settings: Mapping[str, str],
    stop: Stop,
    server: ForkServer | None = None,
) -> TrainedModel:
    """Instead of a child's: a model that always answers how frequent each class was. The same again gives the same."""
    counts = data.training.counts + 1.0
    shares = (counts / counts.sum()).astype(np.float32)
    way = json.dumps([data.training_digest, job.trainer, dict(job.params), job.seed])
    graph = sha256(way.encode()).digest() + shares.tobytes()
    golden = data.training.values[:4]
    manifest = make_manifest(
        graph,
        pipeline=job.pipeline,
        inputs=data.training.names,
        classes=data.training.classes,
        input_name="rows",
        output_name="scores",
        opset=17,
        golden_features=golden,
        golden_scores=_answers(graph, len(golden)),
        trainer=job.trainer,
        lineage=dict(lineage),
    )
    graphs = {"candidate": graph, **({"champion": champion} if champion else {})}
    line = {
        "manifest": manifest_to_json(manifest),
        "graph": base64.b64encode(graph).decode(),
        "scores": {
            name: base64.b64encode(_answers(each, len(data.holdout)).tobytes()).decode()
            for name, each in graphs.items()
        },
        "latency_ms": dict.fromkeys(graphs, 1.0) if timed else {},
        "cpu_ms": 1,
    }
    return TrainedModel(line, len(data.holdout))


def _answers(graph: bytes, rows: int) -> Floats32:
    shares = np.frombuffer(graph[32:], np.float32)
    return np.tile(shares, (rows, 1)).astype(np.float32)


def play_loop(seed: str, acts: int) -> Counter[str]:
    """See `play_through`, of drift with retraining."""
    instead = run_training
    instead = quick_training  # assigned twice so that mypy compares what both are called with
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "run_training", instead)
        return play_through(LoopPlay(seed), f"the loop, seed {seed}", acts)
