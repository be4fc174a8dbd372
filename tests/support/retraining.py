"""A small world around retraining's core: a log that it commits to, rows that are labelled, jobs, and a clock."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from freshet.avro.control import decode, encode
from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Announce, Cancel, Fact, Outcome, Start
from freshet.contracts.messages import (
    Alarm,
    Change,
    Command,
    Manifest,
    Message,
    ModelVersion,
    PipelineRecord,
    Rollout,
    Share,
)
from freshet.contracts.training_message import Training
from freshet.retraining.core.retraining_decider import RetrainingDecider
from freshet.retraining.core.train_job import Measure, Measured, Train, Trained
from support.registry import PIPELINE, candidate
from support.retraining_laws import Laws

CODE = "c0de"
MANIFEST = candidate("champion").manifest

_SPEC = """
pipeline: {pipeline}
entity: card_id
event_id: event_id
event_time: event_time
features: {{version: 1, columns: [{{kind: field, of: amount}}]}}
target: {{classes: [legit, fraud]}}
rollout: {{policy: {policy}}}
retraining: {{{retraining}}}
"""


def code(trainer: str) -> str:
    """The digest of the code that trains."""
    return f"{CODE} of {trainer}"


def specification(
    retraining: str = "", number: int = 1, pipeline: str = PIPELINE, policy: str = "manual"
) -> PipelineRecord:
    """A small valid pipeline with this text in its section."""
    spec = _SPEC.format(pipeline=pipeline, retraining=retraining, policy=policy)
    return PipelineRecord(pipeline=pipeline, number=number, spec=spec, event_schema="{}", event_schema_id=1)


def alarm(name: str, test: tuple[int, int] = (100, 600), **but: object) -> Alarm:
    """An alarm that is sure of itself."""
    found = Alarm(
        id=name,
        pipeline=PIPELINE,
        detector="adwin",
        level="detected",
        params={},
        subject="served",
        statistic=1.0,
        threshold=0.5,
        effect=0.1,
        reference_from=0,
        reference_to=test[0],
        test_from=test[0],
        test_to=test[1],
        through=1,
        since={},
        attribution={},
        epochs=(),
        cause="world",
        state_from=0,
        episode=name,
        at_ms=0,
        text="",
    )
    return found.model_copy(update=but)


def trained(job: Train, metrics: dict[str, float] | None = None) -> Trained:
    """What a job gives back; its model follows from the rows and the way of training alone."""
    way = (job.from_row, job.cut_row, job.end_row, job.through, job.trainer, sorted(job.params.items()), job.seed)
    manifest = candidate(str(way)).manifest
    figures = {"candidate.accuracy": 0.9, "champion.accuracy": 0.8} if metrics is None else metrics
    return Trained(
        manifest=manifest,
        offset=1,
        from_row=job.from_row,
        rows=job.cut_row - job.from_row,
        holdout_rows=job.end_row - job.cut_row,
        classes={"legit": 1, "fraud": 1},
        data_digest="d",
        digest=manifest.digest,
        trained_through_ms=1_000 + job.cut_row,
        metrics=figures,
        cpu_ms=7,
        code=code(job.trainer),
        environment="e",
    )


@dataclass
class World:
    """Everything around one owner. Records pass through their real encoding, as on the topics."""

    now_ms: int = 1_000_000_000
    rows: int = 0
    """Rows of the labelled log."""
    log_id: str = "log"
    since_ms: int = 0
    """When its oldest record was appended."""
    late_rows: int = 0
    """So late are labels."""
    log: list[Fact] = field(default_factory=list)
    jobs: list[Train | Measure] = field(default_factory=list)
    done: list[Train] = field(default_factory=list)
    """Trainings that were handed out, in order."""
    results: list[dict[str, float] | FreshetError] = field(default_factory=list)
    """The metrics, or the error, of the next trainings; good metrics by default."""
    decider: RetrainingDecider = field(default_factory=lambda: RetrainingDecider(code))
    laws: Laws = field(default_factory=Laws)
    """Held after every commit."""

    def tell(self, role: str, key: str, message: Message | None) -> None:
        """A record is committed to the topic and followed."""
        value = None if message is None else decode(role, encode(message))
        fact = Fact(role, key, value, self.now_ms, len(self.log))
        self.log.append(fact)
        self.decider.fold(fact)

    def apply(self, retraining: str = "", number: int = 1, policy: str = "manual") -> None:
        """`freshet apply`."""
        self.tell("pipelines", f"{PIPELINE}/{number}", specification(retraining, number, policy=policy))

    def serve(self, version: str = "1.0.0", epoch: int = 1, manifest: Manifest = MANIFEST) -> None:
        """The registry has admitted a version, and it answers."""
        history = (Change(at_ms=self.now_ms, what="admitted"),)
        model = ModelVersion(
            pipeline=PIPELINE, version=version, state="admitted", reason="", manifest=manifest, history=history
        )
        self.tell("models", f"{PIPELINE}/{version}", model)
        rollout = Rollout(
            pipeline=PIPELINE,
            epoch=epoch,
            phase="live",
            table=(Share(version=version, share=10_000),),
            salt="s",
            resident=(version,),
            cause="test",
        )
        self.tell("rollouts", f"{PIPELINE}/{epoch}", rollout)

    def alarm(self, name: str, test: tuple[int, int] = (100, 600), **but: object) -> None:
        """Drift detection raises an alarm."""
        self.tell("alarms", PIPELINE, alarm(name, test, **but))

    def ask(self, name: str, ttl_ms: int = 600_000, text: str = "", withdrawn: bool = False) -> None:
        """`freshet retrain`."""
        expires = 0 if withdrawn else self.now_ms + ttl_ms
        asked = Command(
            command_id=name, pipeline=PIPELINE, action="retrain", text=text, expires_at_ms=expires, by="ann@host"
        )
        self.tell("commands", PIPELINE, asked)

    def make_log_anew(self) -> None:
        """Somebody deletes the labelled log, and it begins again."""
        self.log_id, self.rows, self.since_ms = f"{self.log_id}'", 0, self.now_ms

    def decide(self) -> list[Announce]:
        """One step: what it announces is committed and folded, its jobs are taken on."""
        effects = [effect for name in self.decider.pipelines() for effect in self.decider.decide(name, self.now_ms)]
        for effect in effects:
            match effect:
                case Start(job) if isinstance(job, Train | Measure):
                    self.jobs.append(job)
                case Cancel(queue):
                    self.jobs = [job for job in self.jobs if job.queue != queue]
        announced = [effect for effect in effects if isinstance(effect, Announce)]
        for effect in announced:
            self.tell(effect.role, effect.key, effect.message)
        self.laws.read(self.log)
        return announced

    def run_jobs(self, *, trainings: bool = True) -> bool:
        """All jobs end, or only the looks at the log; whether there were any."""
        waiting = [job for job in self.jobs if trainings or isinstance(job, Measure)]
        self.jobs = [job for job in self.jobs if job not in waiting]
        for job in waiting:
            self.decider.on_job(self._outcome(job))
        return bool(waiting)

    def _outcome(self, job: Train | Measure) -> Outcome[Trained] | Outcome[Measured]:
        if isinstance(job, Measure):
            through, ends = self.rows // 10 - 1, {0: self.rows}
            times = {"since_ms": self.since_ms, "late_rows": self.late_rows}
            return Outcome(job, Measured(self.rows, through, self.now_ms, ends, self.log_id, **times))
        self.done.append(job)
        result = self.results.pop(0) if self.results else None
        if isinstance(result, FreshetError):
            return Outcome(job, error=result)
        return Outcome(job, trained(job, result))

    def settle(self, *, trainings: bool = True) -> list[Training]:
        """Decide and run jobs until nothing happens; the records that were written meanwhile."""
        before = len(self.log)
        for _ in range(200):
            if not self.decide() and not self.run_jobs(trainings=trainings):
                break
        else:
            raise AssertionError("retraining goes on although nothing else changes")
        return [fact.message for fact in self.log[before:] if isinstance(fact.message, Training)]

    def later(self, by_ms: int = 1_000) -> list[Training]:
        """Time passes, and everything settles."""
        self.now_ms += by_ms
        return self.settle()

    def crash(self) -> None:
        """The owner dies, and with it its jobs; a successor folds the topics."""
        self.jobs.clear()
        self.decider = refold(self.log)

    def records(self) -> list[Training]:
        """All records on the topic of trainings."""
        return [fact.message for fact in self.log if isinstance(fact.message, Training)]


def refold(facts: Iterable[Fact]) -> RetrainingDecider:
    """An owner that has just been started on these topics."""
    decider = RetrainingDecider(code)
    for fact in facts:
        decider.fold(fact)
    return decider
