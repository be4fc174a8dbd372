"""The control plane's messages: one frozen object each. Source: `schemas/control/*.avsc`; a test compares both."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Phase = Literal["prepare", "live", "aborted"]
ModelState = Literal["admitted", "refused", "retired", "quarantined"]
Action = Literal["promote", "rollback", "pause", "resume", "retire", "annotate", "reinstate", "retrain"]
Verdict = Literal["done", "refused", "stale", "expired"]


class Message(BaseModel):
    """A control record's value. Unknown fields are errors, numbers must be finite, instances never change."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), ser_json_bytes="base64"
    )


class PipelineRecord(Message):
    """A pipeline specification as published by `freshet apply`; number counts up from 1.

    `life` is another one when a deleted pipeline is applied again; empty if an earlier release applied it first.
    """

    pipeline: str
    number: int = Field(ge=1)
    spec: str
    event_schema: str
    event_schema_id: int
    life: str = ""


class Golden(Message):
    """Rows with the scores their trainer saw: float32, little-endian, row-major."""

    rows: int = Field(ge=1)
    features: bytes
    scores: bytes


class Manifest(Message):
    """Everything about a trained model but its bytes. Holds no time: the same training gives the same manifest."""

    pipeline: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    chunk_bytes: int = Field(gt=0)
    chunk_digests: tuple[str, ...]
    inputs: tuple[str, ...]
    classes: tuple[str, ...]
    input_name: str
    output_name: str
    opset: int
    golden: Golden
    trainer: str
    lineage: dict[str, str] = {}
    metrics: dict[str, float] = {}
    required: tuple[str, ...] = ()


class Candidate(Message):
    """A model that asks to be admitted. `chunk_offsets` is only a hint: a chunk counts by its key.

    `signatures` of its manifest, each under the id of the builder's key that made it.
    """

    manifest: Manifest
    chunk_offsets: tuple[int, ...] = ()
    signatures: dict[str, bytes] = {}


class Change(Message):
    """One line of a model version's history."""

    at_ms: int
    what: str


class ModelVersion(Message):
    """The registry's decision on one candidate: the version that it became, or why it was refused."""

    pipeline: str
    version: str
    state: ModelState
    reason: str
    manifest: Manifest
    chunk_offsets: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()
    memory_bytes: int = 0
    history: tuple[Change, ...] = ()
    manifest_id: str = ""
    candidate_offset: int = -1
    pardoned: tuple[str, ...] = ()
    signatures: dict[str, bytes] = {}


class Share(Message):
    """A version's share of the entities, in ten-thousandths."""

    version: str
    share: int = Field(ge=0, le=10_000)


class Rollout(Message):
    """One epoch of a pipeline. The same key moves from prepare to live or aborted; the highest live one is in force.

    `manifests` holds the id of the manifest of each version that it names; `signatures` are of all the rest of the
    record, each under the id of the release key that made it.
    """

    pipeline: str
    epoch: int = Field(ge=1)
    phase: Phase
    table: tuple[Share, ...]
    salt: str
    understudies: dict[str, str] = {}
    resident: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    paused: bool = False
    expected_previous: int = 0
    previous_digest: str = ""
    revoked: tuple[str, ...] = ()
    deadline_ms: int = 0
    cause: str
    command_id: str = ""
    life: str = ""
    manifests: dict[str, str] = {}
    signatures: dict[str, bytes] = {}


class Cutover(Message):
    """The first offset of a partition that is answered under (epoch, fallback)."""

    pipeline: str
    lane: str
    topic_id: str
    partition: int
    first_offset: int
    epoch: int
    fallback: int = Field(ge=0, le=1)
    cause: str


class Prepared(Message):
    """Whether a worker could prepare an epoch; `verdict` is ok or a reason code."""

    epoch: int
    verdict: str
    detail: str = ""
    load_ms: int = 0
    p99_us: int = 0


class PartitionState(Message):
    """A partition in a worker's hands; `held`: why it waits, else empty; `next_offset`: what it reads next, else -1."""

    partition: int
    epoch: int
    fallback: int
    held: str = ""
    role: str = "features"
    next_offset: int = -1


class WorkerState(Message):
    """A worker's whole state; a later record replaces an earlier one. `host`, `pid`, `started_ms` name its process."""

    instance: str
    service: str
    pipeline: str
    lane: str = "serve"
    interval_ms: int
    live_epoch: int = 0
    prepared: tuple[Prepared, ...] = ()
    resident: tuple[str, ...] = ()
    partitions: tuple[PartitionState, ...] = ()
    quarantined: tuple[str, ...] = ()
    memory_bytes: int = 0
    leaving: bool = False
    host: str = ""
    pid: int = 0
    started_ms: int = 0
    warnings: tuple[str, ...] = ()


class Command(Message):
    """What an operator asked for; it gets exactly one decision."""

    command_id: str
    pipeline: str
    action: Action
    version: str = ""
    text: str = ""
    expected_epoch: int | None = None
    expires_at_ms: int
    by: str

    @property
    def withdrawn(self) -> bool:
        """Whether its sender has taken it back, by sending it again with an expiry of 0."""
        return self.expires_at_ms == 0


class Decision(Message):
    """One entry of the audit: what the registry decided, about what, and from which inputs."""

    pipeline: str
    about: Literal["command", "candidate", "rollout"]
    subject: str
    verdict: Verdict
    reason: str
    epoch: int = 0
    inputs: dict[str, str] = {}


class Minute(Message):
    """What a record adds to a minute of predictions (append times) that answered one class; -1: not told by class."""

    start_ms: int
    predictions: int
    labelled: int
    answer: int = Field(default=-1, ge=-1)


class Outcomes(Message):
    """Rows of the labelled log of one partition; `counts` are of all its records so far, `minutes` are changes."""

    pipeline: str
    partition: int = Field(ge=0)
    first_row: int = Field(ge=0)
    number: int
    features_topic: str
    inputs: dict[str, int]
    counts: dict[str, int]
    minutes: tuple[Minute, ...]
    rows: int = Field(ge=0)
    spec_version: int
    width: int = Field(ge=0)
    classes: int = Field(ge=1)
    versions: tuple[str, ...]
    prediction_offset: bytes
    label_offset: bytes
    features_offset: bytes
    event_time_ms: bytes
    predicted_ms: bytes
    labelled_ms: bytes
    claimed_ms: bytes
    version: bytes
    epoch: bytes
    fallback: bytes
    answer: bytes
    label: bytes
    truth: bytes
    scores: bytes
    weight: bytes
    revision: bytes
    flags: bytes
    values: bytes
    input_topics: dict[str, str] = {}
    number_from: dict[str, int] = {}
    state_from: dict[str, int] = {}


class Alarm(Message):
    """Something has changed in what is `watched`, whose rows are counted. Same rows and parameters give the same id."""

    id: str
    pipeline: str
    detector: str
    level: Literal["suspected", "detected"]
    params: dict[str, str]
    subject: str
    statistic: float
    threshold: float
    effect: float
    reference_from: int
    reference_to: int
    test_from: int
    test_to: int
    through: int
    since: dict[str, int]
    attribution: dict[str, float]
    epochs: tuple[int, ...]
    cause: Literal["world", "own_rollout", "data_quality", "unknown"]
    state_from: int
    episode: str
    at_ms: int
    text: str
    outcomes_topic: str = ""
    watched: Literal["outcomes", "features", "answers"] = "outcomes"
    profiles_topic: str = ""
