"""A small world around inference's core: feature vectors, models with simple minds, and a loop in miniature."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np

from freshet.avro import Column, Decoder, Encoder, Ragged, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.arrays import Floats32
from freshet.contracts.batch import Batch, Headers
from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import (
    Announce,
    DeadLetter,
    Effect,
    Fact,
    Hold,
    Job,
    Mark,
    Outcome,
    Publish,
    Start,
)
from freshet.contracts.messages import (
    Cutover,
    Golden,
    Manifest,
    Message,
    ModelVersion,
    Phase,
    PipelineRecord,
    Rollout,
    Share,
)
from freshet.contracts.topic_id import to_bytes
from freshet.contracts.worker import WorkerReport
from freshet.inference.core.crash_blame import Death, Flight, Guard, Span, unguarded
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.core.model_jobs import Loaded, LoadModel, RetireModel
from freshet.ledger.manifest_id import manifest_id
from freshet.models.model_error import ModelError
from freshet.trust.pipeline_trust import no_keys
from freshet.trust.trusted_keys import TrustedKeys

PIPELINE = "fraud"
TOPIC_ID = "features-topic-of-nowA"
SOURCE_TOPIC = to_bytes("events-topic-of-then_A")
FEATURES = ("amount", "hour", "country")
CLASSES = ("legit", "fraud")

E = TypeVar("E", bound=Effect)

_SPEC = """
pipeline: {pipeline}
entity: card_id
event_id: event_id
event_time: event_time
features:
  version: {version}
  columns: [{columns}]
target: {{classes: [{classes}]}}
"""


@dataclass(frozen=True)
class Row:
    """A record as a Kafka client would hand it out."""

    partition_: int
    offset_: int
    value_: bytes | None
    key_: bytes | None = b"card"
    headers_: Headers | None = None

    def topic(self) -> str:
        return f"{PIPELINE}.features"

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def timestamp(self) -> tuple[int, int]:
        return (1, 1_000 + self.offset_)

    def key(self) -> bytes | None:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> Headers | None:
        return self.headers_


def vector(partition: int, offset: int, values: Sequence[float] | None = None, spec_version: int = 1) -> Row:
    """One feature vector; by default its values follow from its place."""
    chosen = values if values is not None else _values(partition, offset)
    columns: dict[str, Column] = {
        "event_id": Strings.from_list([f"e{partition}-{offset}"]),
        "entity": Strings.from_list([f"card{offset % 7}"]),
        "event_time": np.array([1_000 + offset]),
        "spec_version": np.array([spec_version], np.int32),
        "values": Ragged(np.array(chosen, np.float32), np.array([len(chosen)])),
        "source_partition": np.array([partition + 10], np.int32),
        "source_offset": np.array([offset + 1_000]),
        "source_topic": Strings.repeat(SOURCE_TOPIC, 1),
    }
    value = _encoder().encode(columns)[0]
    return Row(partition, offset, value, f"card{offset % 7}".encode())


@cache
def _encoder() -> Encoder:
    """Made once: it costs ten times what it does for one row."""
    return Encoder(current_schema("FeatureVector"), schema_id("FeatureVector"))


@cache
def _decoder() -> Decoder:
    return Decoder(current_schema("Prediction"))


def _values(partition: int, offset: int) -> list[float]:
    return [((offset * 7 + partition) % 13) / 3 + place for place in range(len(FEATURES))]


def batch(*rows: Row) -> Batch:
    """A batch of feature vectors."""
    return Batch("features", rows)


def vectors(partition: int, first: int, count: int) -> list[Row]:
    """Good rows of one partition, at consecutive offsets."""
    return [vector(partition, offset) for offset in range(first, first + count)]


def specification(names: Sequence[str] = FEATURES, number: int = 1, classes: Sequence[str] = CLASSES) -> PipelineRecord:
    """The pipeline with these features; each number of it appended some."""
    columns = ", ".join(f"{{kind: field, of: {name}}}" for name in names)
    spec = _SPEC.format(pipeline=PIPELINE, version=number, columns=columns, classes=", ".join(classes))
    return PipelineRecord(pipeline=PIPELINE, number=number, spec=spec, event_schema="{}", event_schema_id=1)


def digest_of(name: str) -> str:
    """What the bytes of a version of that name have as their digest."""
    return sha256(name.encode()).hexdigest()


def flight(version: str, *spans: Span) -> Flight:
    """A call of that version."""
    return Flight(version, spans, digest_of(version))


def manifest(version: str, inputs: Sequence[str] = FEATURES, classes: Sequence[str] = CLASSES) -> Manifest:
    """The manifest of a version; the digest follows from its name."""
    digest = digest_of(version)
    return Manifest(
        pipeline=PIPELINE,
        digest=digest,
        size_bytes=4,
        chunk_bytes=4,
        chunk_digests=(digest,),
        inputs=tuple(inputs),
        classes=tuple(classes),
        input_name="x",
        output_name="y",
        opset=17,
        golden=Golden(rows=1, features=b"", scores=b""),
        trainer="test",
    )


def model(version: str, inputs: Sequence[str] = FEATURES, digest_of: str = "") -> ModelVersion:
    """An admitted version."""
    made_from = manifest(digest_of or version, inputs)
    return ModelVersion(
        pipeline=PIPELINE,
        version=version,
        state="admitted",
        reason="good",
        manifest=made_from,
        manifest_id=manifest_id(made_from),
    )


def rollout(
    epoch: int,
    version: str | Sequence[str] = (),
    *,
    phase: Phase = "live",
    understudy: str = "",
    resident: Sequence[str] = (),
    revoked: Sequence[str] = (),
) -> Rollout:
    """An epoch in which `version` answers (several share; none wait)."""
    versions = [version] if isinstance(version, str) else list(version)
    share = 10_000 // max(len(versions), 1)
    return Rollout(
        pipeline=PIPELINE,
        epoch=epoch,
        phase=phase,
        table=tuple(Share(version=name, share=share) for name in versions),
        salt="s",
        understudies=dict.fromkeys(versions, understudy) if understudy else {},
        resident=tuple(resident),
        revoked=tuple(sha256(name.encode()).hexdigest() for name in revoked),
        cause="test",
    )


Mind = Callable[[Floats32], Floats32]


def sound(version: str) -> Mind:
    """Scores that depend on the version and on each row alone, to the bit."""
    weight = np.float32(1 + int(sha256(version.encode()).hexdigest()[:4], 16) / 1_000)

    def think(rows: Floats32) -> Floats32:
        first = (rows[:, 0] * weight) % np.float32(1)
        return np.stack([np.float32(1) - first, first], axis=1)

    return think


@dataclass
class FakeScorer:
    """A model that thinks as it is told, and remembers what it was asked."""

    manifest: Manifest
    mind: Mind
    asked: list[Floats32] = field(default_factory=list)
    closed: bool = False

    def score(self, rows: Floats32) -> Floats32:
        """See `Scorer`."""
        assert not self.closed
        self.asked.append(rows)
        return self.mind(rows)

    def interrupt(self) -> None:
        """See `Scorer`."""

    def close(self) -> None:
        """See `Scorer`."""
        self.closed = True


@dataclass
class Worker:
    """An inference logic with its jobs: loads what it starts, unless `broken` gives the error of that version."""

    instance: str = "w1"
    minds: dict[str, Mind] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    deaths: Sequence[Death] = ()
    died_loading: Sequence[str] = ()
    guard: Guard = unguarded
    keys: Callable[[], TrustedKeys | None] = no_keys
    now_ms: int = 0
    started: list[Job[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.logic = InferenceLogic(
            PIPELINE,
            self.instance,
            topic_id=TOPIC_ID,
            deaths=self.deaths,
            died_loading=self.died_loading,
            guard=self.guard,
            keys=self.keys,
        )
        self.scorers: dict[str, FakeScorer] = {}

    def learn(self, *messages: Message) -> "Worker":
        """Fold control records, in order."""
        for message in messages:
            self.logic.fold(Fact(role="", key="", message=message))
        return self

    def tick(self, after_ms: int = 50) -> None:
        """One tick; jobs that it starts are done at once."""
        self.now_ms += after_ms
        for effect in list(self.logic.on_tick(self.now_ms)):
            match effect:
                case Start(job):
                    self.started.append(job)
                    self._do(job)
                case _:
                    raise AssertionError(effect)

    def settle(self) -> None:
        """Tick until nothing more is started."""
        before = -1
        while len(self.started) != before:
            before = len(self.started)
            self.tick()

    def finish(self) -> None:
        """The load that hung comes to its end, well."""
        self.slow.clear()
        self._do(self.started[-1])

    def _do(self, job: Job[Any]) -> None:
        if isinstance(job, RetireModel):
            job.scorer.close()
        if not isinstance(job, LoadModel) or job.version in self.slow:
            return
        if job.version in self.broken:
            reason, _, detail = self.broken[job.version].partition(": ")
            self.logic.on_job(Outcome(job, error=ModelError(reason, detail) if detail else FreshetError(reason)))
            return
        mind = self.minds.get(job.version, sound(job.version))
        self.scorers[job.version] = FakeScorer(job.manifest, mind)
        self.logic.on_job(Outcome(job, result=Loaded(self.scorers[job.version], load_ms=3, p99_us=40)))

    def assign(self, **metadata: str) -> list[int]:
        """Hand partitions over: `assign(p0="e=0 f=0")`. Gives those of them that wait."""
        for name, text in metadata.items():
            self.logic.on_assign("features", int(name[1:]), text)
        return [number for number in self.waiting if f"p{number}" in metadata]

    @property
    def waiting(self) -> list[int]:
        """The partitions that wait now."""
        return [known.partition for known in self.logic._positions.states() if self.waits(known.partition)]

    def waits(self, partition: int) -> str:
        """Why the partition waits."""
        return self.logic.waits("features", partition)

    def answer(self, *rows: Row) -> list[Effect]:
        """What the logic does about a batch of these rows."""
        return list(self.logic.on_batch(batch(*rows)))

    @property
    def loads(self) -> list[str]:
        """Versions that were asked for, in order."""
        return [job.version for job in self.started if isinstance(job, LoadModel)]

    @property
    def state(self) -> WorkerReport:
        """What it reports now."""
        return self.logic.report()


def serving(
    *messages: Message,
    minds: Mapping[str, Mind] | None = None,
    broken: Mapping[str, str] | None = None,
    slow: Iterable[str] = (),
) -> Worker:
    """A worker that knows the specification and these records, and has loaded all it can; p0 and p1 are its own."""
    worker = Worker(minds=dict(minds or {}), broken=dict(broken or {}), slow=set(slow))
    worker.learn(specification(), *messages)
    worker.settle()
    worker.assign(p0="e=0 f=0", p1="e=0 f=0")
    return worker


def of_kind(effects: Iterable[Effect], kind: type[E]) -> list[E]:
    """The effects of one kind, in order."""
    return [effect for effect in effects if isinstance(effect, kind)]


def cuts(effects: Iterable[Effect]) -> list[tuple[int, int, int, int, str]]:
    """Cut-overs as (partition, first offset, epoch, fallback, cause)."""
    found = [effect.message for effect in of_kind(effects, Announce)]
    return [(c.partition, c.first_offset, c.epoch, c.fallback, c.cause) for c in found if isinstance(c, Cutover)]


def marks(effects: Iterable[Effect]) -> dict[int, str]:
    """Metadata to commit, by partition."""
    return {mark.partition: mark.metadata for mark in of_kind(effects, Mark)}


def held(effects: Iterable[Effect]) -> list[int]:
    """Partitions that are held."""
    return [hold.partition for hold in of_kind(effects, Hold)]


@dataclass(frozen=True)
class Answer:
    """A published prediction, as far as tests look at it."""

    partition: int
    offset: int
    version: str
    epoch: int
    fallback: int
    label: str
    scores: tuple[float, ...]


def answers(effects: Iterable[Effect]) -> list[Answer]:
    """All predictions, in the order of publication."""
    found = []
    for publish in of_kind(effects, Publish):
        columns = _decoder().decode(list(publish.values)).columns
        names = ("features_partition", "features_offset", "version", "epoch", "fallback", "label", "scores")
        lists = [plain(columns[name]) for name in names]
        assert publish.partitions == lists[0]
        found += [Answer(*row) for row in zip(*lists, strict=True)]
    return found


def plain(column: Column) -> list[Any]:
    """A column of a prediction as Python values."""
    if isinstance(column, Ragged):
        return [tuple(row.tolist()) for row in np.split(column.flat, np.cumsum(column.lengths)[:-1])]
    assert isinstance(column, np.ndarray | Strings)
    return column.tolist()


def dead(effects: Iterable[Effect]) -> dict[str, list[int]]:
    """Rows set aside, by reason."""
    letters: dict[str, list[int]] = {}
    for letter in of_kind(effects, DeadLetter):
        assert len(letter.details) == len(letter.rows)
        letters.setdefault(letter.reason, []).extend(letter.rows.tolist())
    return letters


def as_bytes(effects: Iterable[Effect]) -> list[object]:
    """The effects in a form that compares: two logics that did the same give the same."""
    found: list[object] = []
    for effect in effects:
        match effect:
            case Publish():
                found.append((effect.role, list(effect.keys), list(effect.values), list(effect.partitions or ())))
            case DeadLetter():
                found.append((effect.rows.tolist(), effect.reason, list(effect.details), effect.schema_id))
            case Announce():
                found.append((effect.role, effect.key, effect.message and encode(effect.message)))
            case _:
                found.append(effect)
    return found
