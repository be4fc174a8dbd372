"""Models against the trainings that they name, gates against their figures, and rollouts against their gates."""

from collections.abc import Iterator
from typing import Final

from freshet.contracts.messages import Manifest, Rollout
from freshet.contracts.training_message import Training
from freshet.ledger.epochs import champion
from freshet.operate.verify.findings import Finding, listed
from freshet.operate.verify.retraining.loop_evidence import PROMISE, SHORT, TRAINING, Dated, LoopEvidence
from freshet.pipeline.gate import CHAMPION, GateVerdict, judge_gate

_GATED: Final = "policy gated"
"""What the epochs say that the policy has begun."""


def trained_models(evidence: LoopEvidence) -> Iterator[Finding]:
    """Every model that says it came of a training, and every epoch that a passed gate has led to."""
    last = {told.message.training: told.message for told in evidence.trainings}
    named = {name: manifest for name, manifest in evidence.models.items() if TRAINING in manifest.lineage}
    strange = [
        f"{name}: {trouble}"
        for name, manifest in named.items()
        if (trouble := _stranger(manifest, last.get(manifest.lineage[TRAINING]), evidence))
    ]
    yield listed(PROMISE, "models that name a training came of it", len(named), strange)
    whole = [told for told in evidence.finished if not told.message.reason.startswith(SHORT)]
    wrong = [f"{told.message.training[:8]}: {trouble}" for told in whole if (trouble := _misjudged(evidence, told))]
    yield listed(PROMISE, "verdicts of gates follow from their figures", len(whole), wrong)
    records = evidence.ledger.epochs.records
    gated = [record for record in records.values() if record.cause == _GATED and record.phase == "live"]
    through = [f"epoch {record.epoch}: {trouble}" for record in gated if (trouble := _not_passed(evidence, record))]
    yield listed(PROMISE, "what `gated` has rolled out had passed its gate", len(gated), through)


def _stranger(manifest: Manifest, record: Training | None, evidence: LoopEvidence) -> str:
    """What is wrong with a model that names this training; of one that has expired nothing is known."""
    if record is None:
        return "" if "trainings" in evidence.cut else "no training of this id is on the topic"
    if record.phase != "finished":  # it was published before its end was told, or before the pipeline was deleted
        return "its training was skipped" if record.phase == "skipped" else ""
    lineage = manifest.lineage
    told = {
        "artifact": (manifest.digest, record.digest),
        "data": (lineage.get("data", ""), record.data_digest),
        "last row": (lineage.get("end_row", ""), str(record.end_row)),
        "rival": (lineage.get(CHAMPION, ""), record.champion),
        "gate": (GateVerdict.of_lineage(lineage).verdict, record.gate),
    }
    if not record.reason.startswith(SHORT):
        told["figures"] = (str(sorted(manifest.metrics.items())), str(sorted(record.metrics.items())))
    other = [what for what, (mine, its) in told.items() if mine != its]
    return f"its training tells of another {' and another '.join(other)}" if other else ""


def _misjudged(evidence: LoopEvidence, told: Dated[Training]) -> str:
    record, spec = told.message, evidence.spec_of(told)
    if spec is None:
        return ""
    found = judge_gate(spec.retraining.gate, record.metrics, record.champion)
    if (found.verdict, found.clauses) == (record.gate, record.clauses):
        return ""
    return f"its gate is {record.gate}, and from its figures follows {found.verdict}"


def _not_passed(evidence: LoopEvidence, record: Rollout) -> str:
    version = champion(record)
    model = evidence.ledger.versions.records.get(version)
    if model is None:
        return f"there is no record of {version}"
    verdict = GateVerdict.of_lineage(model.manifest.lineage).verdict
    if verdict != "pass":
        return f"the gate of {version} says {verdict}"
    rival, before = model.manifest.lineage.get(CHAMPION, ""), evidence.ledger.epochs.champion(record.expected_previous)
    if rival != before:
        return f"{version} was compared with {rival or 'no version'}, and {before or 'none'} answered"
    return ""
