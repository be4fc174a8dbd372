"""The models behind pipeline.yaml. Each field says what it means and why its default is what it is."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, SerializeAsAny, TypeAdapter, ValidationError

from freshet.contracts.duration import Duration
from freshet.contracts.name_rules import PIPELINE_LENGTH, PIPELINE_PATTERN
from freshet.detectors.detector import Detector
from freshet.features.transform import Domain, Transform
from freshet.pipeline.catalogue import detectors, transforms
from freshet.pipeline.parts import ByKind, Choice, SpecModel
from freshet.pipeline.problem import PipelineError, Problem
from freshet.pipeline.profile_section import ProfileSpec
from freshet.pipeline.retraining import RetrainingSpec
from freshet.pipeline.spec_contradictions import contradictions
from freshet.pipeline.text import Lines, Path, explain, read_yaml

AnyTransform = Annotated[SerializeAsAny[Transform], ByKind(transforms)]
AnyDetector = Annotated[SerializeAsAny[Detector], ByKind(detectors)]


class Rule(SpecModel):
    """What a field of an event must satisfy; an event that does not becomes a dead letter."""

    field: str
    """The event field it is about; a nested one is written `outer.inner`."""
    min: float | None = None
    """Smallest allowed value, inclusive; none by default, because only the use case knows."""
    max: float | None = None
    """Largest allowed value, inclusive."""
    one_of: tuple[Choice, ...] = ()
    """The allowed values of a text, enum or whole-number field; empty allows all."""
    required: bool = False
    """Refuse null. Off by default: the event schema says null is possible, so null is a value like others."""
    finite: bool = True
    """Refuse NaN and infinity. On by default: one NaN can silently spoil a statistic far away."""


class FeatureSpec(SpecModel):
    """The ordered row of numbers that models read. It only ever grows: a changed meaning is a new name."""

    version: int = Field(ge=1)
    """Number of this specification; goes up whenever columns are appended."""
    columns: tuple[AnyTransform, ...] = Field(min_length=1)
    """The transforms in order; each makes one feature or several."""


class Target(SpecModel):
    """What models predict."""

    kind: Literal["classes", "value"] = "classes"
    """`classes` for a classification (the usual case), `value` for a regression."""
    classes: tuple[str, ...] = ()
    """All class names, in the order of a prediction's scores. Fixed at birth: a training window may miss a rare one."""


class LabelSpec(SpecModel):
    """Until when labels meet their predictions, and what it means when none comes.

    All times are between the appends of the two records, by the broker's clock.
    """

    horizon: Duration = Duration.parse("7d")
    """A label that comes later counts as late, and no more. Open predictions of so long stay in memory."""
    grace: Duration = Duration.parse("1d")
    """How long after the horizon a late label can still be told from one that belongs to no prediction."""
    wait: Duration = Duration.parse("1d")
    """How long a label waits for a prediction that is not there yet, as while inference is down."""
    absent_after: Duration | None = None
    """No label after so long is a label, as where only fraud is reported. By default only labels count."""
    means: str = ""
    """The class, or the value of a regression, that no label stands for."""


class Slice(SpecModel):
    """A part of the events whose quality is told beside that of all: by the value of one feature."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)
    """What it is called in evaluations and in clauses of the gate."""
    feature: str
    """The feature that decides, by its name in the feature row."""
    min: float | None = None
    """Smallest value in the slice, inclusive."""
    below: float | None = None
    """First value beyond it."""


def _usual_detectors() -> tuple[Detector, ...]:
    return tuple(detectors().find(kind)() for kind in ("labels", "adwin", "promise"))


class RolloutSpec(SpecModel):
    """How an admitted model becomes the champion, whose answer counts."""

    policy: str = "manual"
    """Kind of the rollout policy. By default a person promotes: nothing goes live that nobody asked for."""
    prepare_timeout: Duration = Duration.parse("60s")
    """How long workers may take to load a new model before the rollout is given up; a minute loads 256 MB with ease."""


class Limits(SpecModel):
    """What one model and one batch may cost."""

    max_model_mb: int = Field(default=256, ge=1, le=4096)
    """Largest model that travels on topics; above it, chunks would crowd out everything else."""
    max_memory_mb: int = Field(default=1024, ge=1)
    """Memory that one loaded model may take; four times the largest model, which is what tree ensembles need."""
    max_batch_rows: int = Field(default=5000, ge=8, le=100_000)
    """Rows that are scored and committed together; measured: nothing is gained above 5,000."""
    batch_p99_ms: int = Field(default=250, ge=1)
    """99 of 100 full batches must be scored within this; a quarter of a second keeps a replay above 20,000 rows/s."""
    commit_interval_ms: int = Field(default=40, ge=0, le=10_000)
    """Least time from one transaction of ingestion to the next under light load; 0 for lowest latency.

    Counted from begin to begin. Inference takes a quarter of it: its input arrives in ingestion's transactions.
    """


class PipelineSpec(SpecModel):
    """One use case: what its events mean, which features they give, what is predicted. The same in all environments."""

    pipeline: str = Field(pattern=PIPELINE_PATTERN, max_length=PIPELINE_LENGTH)
    """Its name, part of every topic's name: small letters, digits and dashes."""
    entity: str
    """The event field that says what the event is about (a card, a device): the key that keeps events in order."""
    event_id: str
    """The event field with the producer's unique id of the event; labels refer to it."""
    event_time: str
    """The event field that says when it happened: a timestamp, or a long in milliseconds since 1970."""
    partitions: int = Field(default=6, ge=1)
    """Partitions of each of its topics, fixed at birth: six divide evenly among 1, 2, 3 or 6 workers."""
    partitioning: Literal["rekey", "keep"] = "rekey"
    """`rekey` (always right) sends features where the entity hashes to; `keep` if producers key all alike by it."""
    decoder: str = "avro"
    """Kind of the event decoder: `avro` in Confluent framing, or `json`."""
    registry: str = ""
    """Address of a schema registry of yours, whose ids Avro events may have; without one only ids of `apply` count."""
    unknown_fields: Literal["refuse", "ignore"] = "refuse"
    """A JSON event's keys that event.avsc lacks: `refuse` finds misspelt ones, `ignore` lets producers go ahead."""
    headers: Literal["drop", "pass"] = "drop"
    """`pass` copies trace context and CloudEvents headers to features and predictions; costs time for each record."""
    max_event_bytes: int = Field(default=65536, ge=64, le=1 << 20)
    """Larger events are dead letters, unread: bounds the memory and time that one message can cost."""
    max_event_age: Duration = Duration.parse("7d")
    """How far event_time may lie before the broker's time of arrival; a week forgives a phone that was off."""
    max_event_skew: Duration = Duration.parse("10m")
    """How far event_time may lie ahead of it; clocks err by minutes, and one year 9999 would close every window."""
    rules: tuple[Rule, ...] = ()
    """What events must satisfy; the first rule that fails names the reason."""
    features: FeatureSpec
    """How events become the row of numbers that models read."""
    target: Target
    """What is predicted: `classes: [...]`, or `kind: value` for a regression."""
    label: LabelSpec = LabelSpec()
    """How late labels may come, and what it means when none does."""
    slices: tuple[Slice, ...] = ()
    """Parts of the events whose quality is told, too."""
    detectors: tuple[AnyDetector, ...] = Field(default_factory=_usual_detectors)
    """What watches the labelled log; by default labels that stay away, a rising error, and a broken promise."""
    profile: ProfileSpec = Field(default_factory=ProfileSpec)
    """What watches features and answers, before labels come."""
    rollout: RolloutSpec = RolloutSpec()
    """How a model becomes live."""
    retraining: RetrainingSpec = Field(default_factory=RetrainingSpec)
    """When a new model is trained, how, and what it must be worth."""
    limits: Limits = Limits()
    """What a model and a batch may cost."""
    trust: Literal["off", "required"] = "off"
    """`required`: only models signed by a trusted builder, in epochs signed by the registry, may answer."""

    _lines: Lines = PrivateAttr(default_factory=Lines)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """All features of this version, in the order of a FeatureVector's values."""
        return tuple(name for column in self.features.columns for name in column.names())

    @property
    def domains(self) -> dict[str, Domain]:
        """The values that each feature can have, by its name."""
        columns = self.features.columns
        return {name: can for column in columns for name, can in zip(column.names(), column.domains(), strict=True)}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read pipeline.yaml; raises PipelineError with every problem and its line.

        Finds what is wrong with the file by itself; `check` holds it against the event schema.
        """
        data, lines = read_yaml(text)
        try:
            spec = cls.model_validate(data)
        except ValidationError as error:
            raise PipelineError(explain(error, cls, data, lines)) from None
        spec._lines = lines
        problems = [spec.problem(path, message) for path, message in contradictions(spec)]
        if problems:
            raise PipelineError(problems)
        return spec

    @classmethod
    def sound_parts(cls, text: str) -> Self | None:
        """What can still be checked against the events in a file with errors; None if that is nothing.

        Parts that are wrong are None. Only for `check`, so that one run finds all errors.
        """
        try:
            data, lines = read_yaml(text)
        except PipelineError:
            return None
        features, rollout, rules = (data.get(key) for key in ("features", "rollout", "rules"))
        columns = features.get("columns") if isinstance(features, dict) else None
        policy = rollout.get("policy") if isinstance(rollout, dict) else None
        roles = {
            role: data[role] if isinstance(data.get(role), str) else None
            for role in ("entity", "event_id", "event_time")
        }
        spec = cls.model_construct(
            **roles,
            target=_sound(Target, data.get("target")),
            decoder=data["decoder"] if isinstance(data.get("decoder"), str) else "avro",
            rollout=RolloutSpec.model_construct(policy=policy if isinstance(policy, str) else "manual"),
            rules=tuple(_sound(Rule, rule) for rule in (rules if isinstance(rules, tuple) else ())),
            features=FeatureSpec.model_construct(
                version=1,
                columns=tuple(_sound(AnyTransform, at) for at in (columns if isinstance(columns, tuple) else ())),
            ),
        )
        spec._lines = lines
        return spec

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at this path, such as `("features", "columns", 3, "of")`, on the line where it was written."""
        return self._lines.problem(path, message)


def _sound(kind: Any, entry: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(entry)
    except ValidationError:
        return None
