"""P2: where a pipeline demands signatures, a trusted builder made what answers, and a trusted registry released it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from freshet.contracts.messages import Rollout
from freshet.ledger.epochs import named_by
from freshet.ledger.manifest_id import manifest_id
from freshet.operate.verify.evidence import Demand, History
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.operate.verify.record_judge import RecordJudge

if TYPE_CHECKING:
    from freshet.trust.trusted_keys import TrustedKeys

EPOCHS: Final = "each cut-over's epoch is signed by a trusted release key"
VERSIONS: Final = "each version that answers is signed by a trusted builder key"
_NO_KEYS: Final = (
    "cut-overs whose signatures were not judged, since no trust file was given: name it with --trust or FRESHET_TRUST"
)
_BEFORE: Final = "cut-overs to epochs below the first signed one, when signatures were not demanded yet"
_REVOKED: Final = "of a key that was revoked since: nothing tells whether that was before or after it signed"
_UNASKED: Final = (
    "No signature was judged, though a trust file was given: the pipeline does not demand any, neither in "
    "pipeline.yaml (trust: required) nor in that file (required_for)."
)


@dataclass(frozen=True, slots=True)
class Signed:
    """What came of judging the signatures."""

    findings: tuple[Finding, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()


def signatures(history: History) -> Signed:
    """Judge the epochs that partitions were cut over to, and the versions that answer under them.

    Nothing where the pipeline demands no signatures. Epochs that never went live are other checks' matter.
    """
    demand = history.demand
    live = {cut.epoch: _live(history, cut.epoch) for cut in history.cutovers}
    cuts = [cut for cut in history.cutovers if live[cut.epoch]]
    if demand is None or not cuts:
        return Signed()
    if demand.keys is None:
        return Signed(unjudged=(Unjudged("rollouts", len(cuts), _NO_KEYS),))
    judge = _Judge(demand, demand.keys, history)
    faults = {epoch: judge.of_epoch(records) for epoch, records in live.items() if records}
    first = min((epoch for epoch, fault in faults.items() if fault in ("", judge.revoked)), default=max(faults) + 1)
    due = [cut for cut in cuts if cut.epoch >= first or not demand.later]
    broken = [
        f"{cut.partition}/{cut.first_offset}: epoch {cut.epoch}: {faults[cut.epoch]}"
        for cut in due
        if faults[cut.epoch] not in ("", judge.revoked)
    ]
    revoked = sum(faults[cut.epoch] == judge.revoked for cut in due)
    versions = judge.of_versions([record for epoch in {cut.epoch for cut in due} for record in live[epoch]])
    bad = [f"{version}: {fault}" for version, fault in versions.items() if fault not in ("", judge.revoked)]
    doubtful = sum(fault == judge.revoked for fault in versions.values())
    counts = (
        Unjudged("rollouts", len(cuts) - len(due), _BEFORE),
        Unjudged("rollouts", revoked, f"cut-overs to epochs {_REVOKED}"),
        Unjudged("models", doubtful, f"versions {_REVOKED}"),
    )
    return Signed(
        (
            listed("P2", EPOCHS, len(due) - revoked, broken),
            listed("P2", VERSIONS, len(versions) - doubtful, bad),
        ),
        tuple(one for one in counts if one.count),
    )


def unasked(history: History, keys: "TrustedKeys | None") -> tuple[str, ...]:
    """A sentence for whoever gives trusted keys where the pipeline demands no signatures; else nothing."""
    return (_UNASKED,) if keys is not None and history.demand is None else ()


def _live(history: History, epoch: int) -> list[Rollout]:
    return [record for record in history.ledger.epochs.told(epoch) if record.phase == "live"]


class _Judge:
    """Finds what is wrong with what answers: a code of docs/trust.md, or nothing."""

    def __init__(self, demand: Demand, keys: "TrustedKeys", history: History) -> None:
        self._records = RecordJudge(demand, keys)
        self.revoked = self._records.revoked
        self._models = history.ledger.versions

    def of_epoch(self, records: Sequence[Rollout]) -> str:
        """Of several records of one epoch the best one tells: workers left the others out."""
        return _best([self._records.of_epoch(record) for record in records], self.revoked)

    def of_versions(self, epochs: Sequence[Rollout]) -> Mapping[str, str]:
        """All versions that answer under these epochs, sorted, each with what is wrong with it."""
        meant: dict[str, set[str]] = {}
        for record in epochs:
            for version in _answering(record):
                meant.setdefault(version, set()).add(record.manifests.get(version, ""))
        return {version: self._of_version(version, meant[version]) for version in sorted(meant)}

    def _of_version(self, version: str, meant: set[str]) -> str:
        if version not in self._models.records:
            return self._records.missing
        faults = []
        for record in self._models.told(version):
            other = meant - {manifest_id(record.manifest), ""}
            faults.append(self._records.other_model if other else self._records.of_version(record))
        return _best(faults, self.revoked)


def _answering(record: Rollout) -> Iterator[str]:
    """Who may answer under an epoch; what it only wants in memory does not."""
    resident = set(record.resident) - {share.version for share in record.table} - set(record.understudies.values())
    return (version for version in named_by(record) if version not in resident)


def _best(faults: Sequence[str], revoked: str) -> str:
    return "" if "" in faults else revoked if revoked in faults else faults[-1]
