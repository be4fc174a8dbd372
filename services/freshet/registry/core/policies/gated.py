"""A newly admitted version goes live if it has passed its gate: the clauses that pipeline.yaml demands of a model."""

from typing import ClassVar, Final

from freshet.contracts.messages import ModelVersion
from freshet.pipeline.gate import CHAMPION, GateVerdict
from freshet.registry.core.policy import Opinion, Policy, View

_TOLD: Final = "gate: "
"""Begins the line of a version's history that says what came of its gate."""
_PASSED: Final = f"{_TOLD}passed"


class Gated(Policy):
    """Rolls out the newest version, once, if retraining has found it good enough beside the version that answers.

    All else waits for `freshet model promote`: what failed, what was compared with a version that no longer answers,
    what nobody compared, and everything where `retraining.approval` is `required`.
    """

    kind: ClassVar[str] = "gated"

    def choose(self, view: View) -> str | None:
        """The newest version, if it was told that it passed, and what it was compared with still answers."""
        record = _newest(view)
        if record is None or view.approval_required or not _told(record).startswith(_PASSED):
            return None
        return record.version if _rival(record) == view.serving else None

    def opinion(self, view: View) -> Opinion | None:
        """What came of the newest version's gate, clause by clause."""
        record = _newest(view)
        if record is None or _told(record):
            return None
        lineage = record.manifest.lineage
        gate = GateVerdict.of_lineage(lineage)
        objection = _objection(record, gate, view)
        promote = f"`freshet model promote {record.version} --pipeline {record.pipeline}`"
        clauses = "; ".join(gate.clauses)
        if objection:
            reason = f"{_TOLD}refused, {objection} {promote} rolls it out all the same."
        elif view.approval_required:
            reason = f"{_PASSED} ({clauses}). It waits for approval: {promote}."
        else:
            reason = f"{_PASSED} ({clauses})."
        inputs = {
            "cause": f"policy {self.kind}",
            "training": lineage.get("training", ""),
            "compared with": _rival(record),
            "serving": view.serving,
            **{f"clause {at}": clause for at, clause in enumerate(gate.clauses, 1)},
        }
        return Opinion(record.version, "refused" if objection else "done", reason, inputs)


def _newest(view: View) -> ModelVersion | None:
    """The newest version, if it may be rolled out and never was."""
    if not view.versions:
        return None
    newest = view.versions[-1]
    return view.records.get(newest.version) if newest.state == "admitted" and newest.version not in view.tried else None


def _objection(record: ModelVersion, gate: GateVerdict, view: View) -> str:
    if gate.verdict == "none":
        return "since nobody has judged it by a gate: it was not trained by retraining, or its pipeline has no clauses."
    if gate.verdict == "fail":
        return f"since it does not hold every clause: {'; '.join(gate.clauses)}."
    if _rival(record) != view.serving:
        return f"since it was compared with {_rival(record) or 'no version'}, and {view.serving or 'none'} answers now."
    return ""


def _rival(record: ModelVersion) -> str:
    return record.manifest.lineage.get(CHAMPION, "")


def _told(record: ModelVersion) -> str:
    return next((line.what for line in record.history if line.what.startswith(_TOLD)), "")
