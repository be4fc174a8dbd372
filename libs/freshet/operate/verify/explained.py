"""P2: every answer is explained by the cut-overs and the rollouts, and history never goes back."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Cutover
from freshet.contracts.position import Position, unstamped
from freshet.ledger.epochs import answerers
from freshet.operate.verify.chain import read_vectors
from freshet.operate.verify.evidence import Evidence, History, Inputs, Predictions, position
from freshet.operate.verify.findings import Finding, finding, listed
from freshet.operate.verify.places import codes, offsets_of, partitions_of

_UNKNOWN_SPEC: Final = -1
"""Specification of a feature vector that is not there any more."""
_Cutovers = Mapping[int, Sequence[Cutover]]
"""By partition, in the order of their first offsets."""


def positions(evidence: Evidence, predictions: Predictions) -> Iterator[Finding]:
    """`predictions` are those of the present life of the features topic.

    No offset can be the first of two positions: a cut-over commits together with the answer to its first offset.
    """
    cutovers: dict[int, list[Cutover]] = {}
    for cutover in sorted(evidence.history.cutovers, key=lambda cutover: (cutover.partition, cutover.first_offset)):
        cutovers.setdefault(cutover.partition, []).append(cutover)
    back = [
        f"{later.partition}/{later.first_offset}: {tuple(position(earlier))} → {tuple(position(later))}"
        for one in cutovers.values()
        for earlier, later in pairwise(one)
        if position(later) <= position(earlier) or later.first_offset == earlier.first_offset
    ]
    yield listed("P2", "positions in history only go forward", len(evidence.history.cutovers), back)
    yield _explained(predictions, cutovers)
    yield _versions(evidence, predictions)
    yield _committed(evidence.features_read, cutovers)


def _explained(predictions: Predictions, by_partition: _Cutovers) -> Finding:
    partitions, offsets = partitions_of(predictions.inputs), offsets_of(predictions.inputs)
    wrong = np.zeros(len(partitions), dtype=bool)
    for partition in np.unique(partitions).tolist():
        rows = np.flatnonzero(partitions == partition)
        cutovers = by_partition.get(partition, [])
        firsts = np.array([cutover.first_offset for cutover in cutovers], dtype=np.int64)
        expected = np.array([(-1, -1), *(position(cutover) for cutover in cutovers)], dtype=np.int64)
        said = expected[np.searchsorted(firsts, offsets[rows], side="right")]
        wrong[rows] = (said[:, 0] != predictions.epochs[rows]) | (said[:, 1] != predictions.fallbacks[rows])
    return finding("P2", "each answer's epoch is what the cut-overs say", len(wrong), predictions.ids[wrong])


def _versions(evidence: Evidence, predictions: Predictions) -> Finding:
    """Asks once for each combination of position, specification and version that occurs."""
    specs = np.full(len(predictions.ids), _UNKNOWN_SPEC, dtype=np.int64)
    rows, vectors = read_vectors(predictions, evidence.features)
    specs[rows] = evidence.features.spec_versions[vectors]
    kinds = codes(predictions.epochs, predictions.fallbacks, specs, predictions.versions)
    _, firsts = np.unique(kinds, return_index=True)
    wrong = [
        kind
        for kind, row in enumerate(firsts.tolist())
        if predictions.names[predictions.versions[row]]
        not in permitted(
            evidence.history, Position(int(predictions.epochs[row]), int(predictions.fallbacks[row])), int(specs[row])
        )
    ]
    broken = predictions.ids[np.isin(kinds, wrong)]
    return finding("P2", "each answer's version is what its epoch names", len(predictions.ids), broken)


def permitted(history: History, position: Position, spec_version: int) -> set[str]:
    """The versions that may answer a vector of this specification there: one for each entry of the epoch's table.

    The first that can read the vector, of the version that is named there and, before the fallback, its understudy; a
    vector that none of them can read must be a dead letter. Of _UNKNOWN_SPEC, all that may for some specification. Only
    an epoch that went live explains an answer.
    """
    lives = [rollout for rollout in history.ledger.epochs.told(position.epoch) if rollout.phase == "live"]
    found: set[str] = set()
    for answerer in answerers(lives[-1], position.fallback) if lives else ():
        needs = {version: history.first_specs.get(version, 0) for version in (answerer.version, answerer.spare)}
        needs.pop("", None)
        for asked in needs.values() if spec_version == _UNKNOWN_SPEC else [spec_version]:
            found.update([version for version, needed in needs.items() if needed <= asked][:1])
    return found


def _committed(features_read: Inputs, by_partition: _Cutovers) -> Finding:
    """The offset metadata of a partition is the last position that it cut over to."""
    broken = []
    for partition, metadata in sorted(features_read.metadata.items()):
        before = [
            position(cutover)
            for cutover in by_partition.get(partition, [])
            if cutover.first_offset < features_read.committed[partition]
        ]
        expected = max(before, default=Position(0, 0))
        try:
            said = Position.parse(metadata)
        except ContractError:
            said = None
        if said != expected:
            offset = features_read.committed[partition]
            moved = f"the number was changed to {offset} beside its " if unstamped(metadata, offset).moved else ""
            broken.append(f"{partition}: {moved}metadata {metadata!r}, cut-overs {expected.metadata()!r}")
    return listed("P2", "committed metadata is the last cut-over", len(features_read.metadata), broken)
