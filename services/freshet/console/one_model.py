"""The pages of models, of one model and of one rollout, from the facts of the thread that reads."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from freshet.console.core.answer import Kind
from freshet.console.core.doing import TrainingLine
from freshet.console.core.folded import Folded
from freshet.console.training_lines import approval_phrase, training_lines
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Decision, ModelVersion, Rollout
from freshet.operate.model_history import Epoch, model_history
from freshet.operate.model_status import find_version, version_rows
from freshet.operate.notes import Note, notes_on
from freshet.operate.operate_error import OperateError
from freshet.operate.training_comparison import figure, figure_names
from freshet.operate.training_runs import TRAINING

_CANDIDATE, _CHAMPION = "candidate.", "champion."
SHOWN_DECISIONS: Final = 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """One demand of the gate: its rule as text, with the values, and what it came to."""

    rule: str
    kind: Kind
    verdict: str


@dataclass(frozen=True, slots=True)
class FigurePair:
    """A figure of a model beside that of the version that answered."""

    name: str
    candidate: str
    champion: str


@dataclass(frozen=True, slots=True)
class ModelScreen:
    """One version, or a refused candidate."""

    model: ModelVersion
    part: str
    training: TrainingLine | None
    evidence: tuple[Evidence, ...]
    figures: tuple[FigurePair, ...]
    champion: str
    """Whom it was compared with."""
    epochs: tuple[tuple[Epoch, str], ...]
    """Those in which it answered, each with who approved it."""
    notes: tuple[Note, ...]
    others: tuple[str, ...]
    """All numbered versions, the newest first."""


@dataclass(frozen=True, slots=True)
class CutRow:
    """Since which offset a partition is answered under an epoch, and how soon that was."""

    partition: int
    first_offset: int
    after_s: float


class PreparedRow(NamedTuple):
    """What a worker said of an epoch that it was to prepare."""

    worker: str
    verdict: str
    detail: str
    load_ms: int
    p99_us: int


@dataclass(frozen=True, slots=True)
class RolloutScreen:
    """One epoch."""

    rollout: Rollout
    since_ms: int
    until_ms: int | None
    approval: str
    evidence: tuple[Evidence, ...]
    figures: tuple[FigurePair, ...]
    champion: str
    prepared: tuple[PreparedRow, ...]
    cuts: tuple[CutRow, ...]
    decisions: tuple[Fact, ...]
    """The oldest first."""
    previous: int
    following: int


def model_rows(folded: Folded, pipeline: str) -> list[dict[str, Any]]:
    """All versions and refused candidates, the newest first."""
    return version_rows(folded.ledger, pipeline)[::-1]


def model_screen(folded: Folded, pipeline: str, version: str) -> ModelScreen:
    """The version of that number, or the one whose sha256 begins so. Raises OperateError if there is none."""
    ledger = folded.of(pipeline)
    model = find_version(ledger, version)
    training = _training(folded, pipeline, model)
    history = model_history(ledger)
    epochs = tuple(
        (epoch, approval_phrase(epoch.approval)) for epoch in history.epochs if model.version in epoch.versions
    )
    return ModelScreen(
        model,
        ledger.part_of(model.version),
        training,
        evidence_of(model.manifest.lineage),
        _figures(model),
        model.manifest.lineage.get("champion", ""),
        epochs[::-1],
        tuple(notes_on(model)),
        tuple(state.version for state in ledger.versions.states)[::-1],
    )


def _training(folded: Folded, pipeline: str, model: ModelVersion) -> TrainingLine | None:
    named = model.manifest.lineage.get(TRAINING, "")
    return next((run for run in training_lines(folded, pipeline) if named and run.training == named), None)


def evidence_of(lineage: dict[str, str]) -> tuple[Evidence, ...]:
    """What the gate said, clause by clause; the worst first."""
    found = []
    for name in sorted(name for name in lineage if name.startswith("gate.")):
        rule, _, verdict = lineage[name].rpartition(": ")
        found.append(Evidence(rule or lineage[name], "ok" if verdict == "pass" else "bad", verdict))
    return tuple(sorted(found, key=lambda one: one.kind != "bad"))


def _figures(model: ModelVersion) -> tuple[FigurePair, ...]:
    """The figures of the holdout, the model's beside those of the version that answered then."""
    metrics = model.manifest.metrics
    names = dict.fromkeys(name.removeprefix(_CANDIDATE).removeprefix(_CHAMPION) for name in figure_names(metrics))
    return tuple(
        FigurePair(
            name,
            figure(metrics, _CANDIDATE + name) or figure(metrics, name) or "–",
            figure(metrics, _CHAMPION + name) or "–",
        )
        for name in names
    )


def rollout_screen(folded: Folded, pipeline: str, epoch: int) -> RolloutScreen:
    """One epoch. Raises OperateError if there is none of that number."""
    ledger = folded.of(pipeline)
    rollout = ledger.epochs.records.get(epoch)
    if rollout is None:
        known = ", ".join(map(str, sorted(ledger.epochs.records)[-12:])) or "none yet"
        raise OperateError(f"there is no epoch {epoch} of {pipeline}; the last ones are: {known}.")
    epochs = {one.epoch: one for one in model_history(ledger).epochs}
    since_ms = ledger.epochs.since_ms(epoch)
    version = rollout.table[0].version if rollout.table else ""
    model = ledger.versions.records.get(version)
    cuts = ledger.cutovers.to_epoch(epoch)
    told_ms = dict(zip(map(id, ledger.cutovers.told), ledger.cutovers.told_ms, strict=True))
    numbers = sorted(ledger.epochs.records)
    at = numbers.index(epoch)
    return RolloutScreen(
        rollout,
        since_ms,
        epochs[epoch].until_ms if epoch in epochs else None,
        approval_phrase(epochs[epoch].approval) if epoch in epochs else rollout.cause,
        evidence_of(model.manifest.lineage) if model else (),
        _figures(model) if model else (),
        model.manifest.lineage.get("champion", "") if model else "",
        tuple(
            PreparedRow(name, one.verdict, one.detail, one.load_ms, one.p99_us)
            for name, beat in ledger.workers.of("inference")
            for one in beat.worker.prepared
            if one.epoch == epoch
        ),
        tuple(
            CutRow(partition, cut.first_offset, max(0, told_ms[id(cut)] - since_ms) / 1000)
            for partition, cut in sorted(cuts.items())
        ),
        tuple(_about(folded, pipeline, epoch, version)),
        numbers[at - 1] if at else 0,
        numbers[at + 1] if at + 1 < len(numbers) else 0,
    )


def _about(folded: Folded, pipeline: str, epoch: int, version: str) -> list[Fact]:
    """Decisions on an epoch, and on the version that leads it."""
    return [
        fact
        for fact in folded.facts(pipeline).decisions
        if isinstance(fact.message, Decision)
        and (
            fact.message.epoch == epoch
            or (version and version in (fact.message.subject, fact.message.inputs.get("version")))
        )
    ]


def decision_rows(folded: Folded, pipeline: str) -> list[Fact]:
    """The last decisions of the registry, the newest first."""
    return list(folded.facts(pipeline).decisions)[::-1][:SHOWN_DECISIONS]
