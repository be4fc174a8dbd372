"""Judges retraining: what it said of itself, the models that came of it, and the rows that they learned from.

Whatever follows from something is read first: so all that it can follow from is there when that is read.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from freshet.avro.control import decode
from freshet.contracts.errors import ContractError, NewerRecordError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Alarm, Candidate, Command, Manifest, PipelineRecord
from freshet.contracts.training_message import Training
from freshet.ledger.ledger import Ledger, pipeline_of
from freshet.operate.facts import read
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.operate.verify.retraining.loop_evidence import PROMISE, TRAINING, Dated, LoopEvidence, Specified
from freshet.operate.verify.retraining.occasions_due import occasions_due, under_way
from freshet.operate.verify.retraining.row_numbers import row_numbers
from freshet.operate.verify.retraining.trained_models import trained_models
from freshet.operate.verify.retraining.training_lives import training_lives
from freshet.operate.verify.retraining.watermarks import Watermarks
from freshet.operate.verify.visible import Horizon, Patience
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus

_ROLES: Final = ("trainings", "alarms", "commands")
_UNANSWERED: Final = (
    "Retraining has not run: there are alarms or commands to retrain, and no record that answers any of them."
)


@dataclass(frozen=True, slots=True)
class LoopJudgement:
    """What came of it."""

    findings: tuple[Finding, ...] = ()
    pending: int = 0
    """Trainings under way, and alarms and commands that have still to be answered."""
    unjudged: tuple[Unjudged, ...] = ()
    warnings: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """Roles of topics with a transaction that stayed open."""


def judge_retraining(
    bus: Bus, pipeline: str, *, with_figures: bool = False, patience: Patience | None = None
) -> LoopJudgement:
    """Judge all trainings of a pipeline that the topics retain.

    `with_figures`: models are scored again on the rows that they were tried on. Reads the labelled log once, and the
    rows of some trainings again, one after the other. Raises RetriableError if the broker falls silent.
    """
    return _Loop(bus, pipeline, patience or Patience()).judged(with_figures=with_figures)


@dataclass(slots=True)
class _Loop:
    bus: Bus
    pipeline: str
    patience: Patience
    foreign: list[str] = field(default_factory=list)

    def judged(self, *, with_figures: bool) -> LoopJudgement:
        promoted = [fact for role in ("rollouts", "models") for fact in read(self.bus, role)]
        offered = list(self._candidates())
        horizon = Horizon(self.bus, ("trainings",))
        trainings = list(self._trainings(horizon))
        reasons = [fact for role in ("alarms", "commands") for fact in read(self.bus, role)]
        evidence = self._evidence(promoted, offered, trainings, reasons)
        if not trainings:
            return self._nothing(evidence)
        log = row_numbers(self.bus, self.pipeline)
        watermarks = Watermarks(self.bus, evidence, log, keep=with_figures)
        due = occasions_due(evidence, log)
        findings = [*training_lives(evidence), *due.findings, *trained_models(evidence), *watermarks.findings()]
        unjudged = list(watermarks.unjudged())
        if with_figures:
            # it needs an extra, which whoever asks for scores has
            from freshet.operate.verify.retraining.refigured import refigured  # noqa: PLC0415

            figures, left_out = refigured(self.bus, evidence, watermarks.taught)
            findings.append(figures)
            unjudged += left_out
        hidden = horizon.hidden(self.bus, "trainings")
        behind = [f"trainings: offsets {first:,} to {last:,} are hidden" for first, last in hidden.values()]
        findings.append(listed(PROMISE, "only Freshet tells of trainings", len(trainings), self.foreign))
        findings.append(listed(PROMISE, f"its transactions end within {self.patience.limit_s:.0f} s", 1, behind))
        return LoopJudgement(
            findings=tuple(findings),
            pending=due.pending + under_way(trainings),
            unjudged=tuple(unjudged),
            hidden=("trainings",) if hidden else (),
        )

    def _nothing(self, evidence: LoopEvidence) -> LoopJudgement:
        """Nobody knows whether retraining runs. Models that name trainings are judged all the same."""
        named = [finding for finding in trained_models(evidence) if finding.looked_at]
        spec = evidence.in_force
        asked = bool(evidence.commands) or (
            spec is not None
            and any(trigger.kind == "alarm" for trigger in spec.retraining.triggers)
            and any(one.message.level == "detected" and one.message.watched == "outcomes" for one in evidence.alarms)
        )
        return LoopJudgement(findings=tuple(named), warnings=(_UNANSWERED,) if asked else ())

    def _evidence(
        self,
        promoted: list[Fact],
        offered: list[Manifest],
        trainings: list[Dated[Training]],
        reasons: list[Fact],
    ) -> LoopEvidence:
        applied = [fact for fact in read(self.bus, "pipelines") if pipeline_of(fact) == self.pipeline]
        ledger = Ledger([*promoted, *applied]).of(self.pipeline)
        models = {_name(manifest): manifest for manifest in offered}
        models |= {version: record.manifest for version, record in ledger.versions.records.items()}
        alarms, commands = list[Dated[Alarm]](), list[Dated[Command]]()
        for fact in reasons:
            match fact.message:
                case Alarm(pipeline=self.pipeline) as alarm:
                    alarms.append(Dated(fact.timestamp_ms, alarm))
                case Command(pipeline=self.pipeline, action="retrain") as command:
                    commands.append(Dated(fact.timestamp_ms, command))
        spans = {role: self.bus.spans(role).values() for role in _ROLES}
        return LoopEvidence(
            ledger=ledger,
            specs=_readable(applied, ledger.specifications.keys()),
            trainings=trainings,
            alarms=alarms,
            commands=commands,
            models=models,
            cut={role for role, found in spans.items() if any(span.low > 0 for span in found)},
        )

    def _candidates(self) -> Iterator[Manifest]:
        for fact in read(self.bus, "candidates"):
            match fact.message:
                case Candidate(manifest=manifest) if manifest.pipeline == self.pipeline:
                    yield manifest

    def _trainings(self, horizon: Horizon) -> Iterator[Dated[Training]]:
        for batch in horizon.read(self.bus, "trainings", self.patience):
            rows = zip(batch.offsets.tolist(), batch.timestamps_ms.tolist(), batch.keys, batch.values, strict=True)
            for offset, at_ms, key, value in rows:
                if key == self.pipeline.encode():
                    record = _training(value)
                    if record is not None and record.pipeline == self.pipeline:
                        yield Dated(at_ms, record)
                    else:
                        self.foreign.append(f"trainings 0/{offset}")


def _name(manifest: Manifest) -> str:
    return f"candidate {manifest.digest[:8]} of {manifest.lineage.get(TRAINING, '')[:8]}"


def _training(value: bytes | None) -> Training | None:
    """None where a stranger wrote it."""
    try:
        message = None if value is None else decode("trainings", value)
    except NewerRecordError:
        raise
    except ContractError:
        return None
    return message if isinstance(message, Training) else None


def _readable(facts: list[Fact], numbers: Collection[int]) -> dict[int, Specified]:
    """Those of these numbers that this release can read."""
    found = {}
    for fact in facts:
        match fact.message:
            case PipelineRecord() as record if record.number in numbers:
                with suppress(ContractError):
                    found[record.number] = Specified(fact.timestamp_ms, PipelineSpec.parse(record.spec))
    return found
