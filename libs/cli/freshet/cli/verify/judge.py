"""The judge: pure functions from evidence to findings. Knows nothing of how the evidence was made."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from freshet.cli.verify.answering import UNKNOWN_SPEC, Answering
from freshet.cli.verify.evidence import Answers, Evidence, Inputs, offsets_of, partitions_of, place, position
from freshet.contracts.arrays import Bools, Ints
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Cutover
from freshet.contracts.position import Position
from freshet.runtime import dead_letters

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: how much was looked at, what broke it, and a few examples."""

    promise: str
    check: str
    looked_at: int
    breaches: int
    examples: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing broke this check."""
        return self.breaches == 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """All findings, and how many inputs are still on their way."""

    findings: tuple[Finding, ...]
    answered: int
    dead: int
    pending: int

    @property
    def ok(self) -> bool:
        """True if no check was broken."""
        return all(finding.ok for finding in self.findings)


def judge(evidence: Evidence) -> Judgement:
    """Judge P1 and P2. Every check is made even where an earlier one failed."""
    stages = (
        ("event", evidence.events, evidence.features, "events"),
        ("feedback record", evidence.feedback, evidence.labels, "feedback"),
        ("feature vector", evidence.features_read, evidence.predictions, "features"),
    )
    findings: list[Finding] = []
    for noun, inputs, answers, role in stages:
        since_ms = max(evidence.kept_since_ms.get(output, -1) for output in (answers.role, dead_letters.ROLE))
        findings += _answered_once(noun, inputs, answers, evidence.dead.get(role, _NOTHING), since_ms)
    findings.append(_order(evidence.features))
    findings.append(_order(evidence.predictions))
    findings.append(_chain(evidence))
    findings += _history(evidence)
    pending = sum(
        int(_pending(inputs, answers, evidence.dead.get(role, _NOTHING)).sum()) for _, inputs, answers, role in stages
    )
    dead = sum(len(ids) for ids in evidence.dead.values())
    return Judgement(tuple(findings), len(evidence.predictions.ids), dead, pending)


_NOTHING: Ints = np.empty(0, dtype=np.int64)


def _answered_once(noun: str, inputs: Inputs, answers: Answers, dead: Ints, since_ms: int) -> Iterator[Finding]:
    """Exactly one answer or dead letter for every input that the group has committed past, and none out of nowhere.

    An input that came before `since_ms` may have had an answer that has expired: nothing says that it is lost.
    """
    given = np.concatenate([answers.inputs, dead])
    unique, counts = np.unique(given, return_counts=True)
    lost = inputs.ids[~np.isin(inputs.ids, unique) & _settled(inputs, inputs.ids) & (inputs.times_ms > since_ms)]
    twice = unique[counts > 1]
    phantom = unique[~np.isin(unique, inputs.ids) & _kept(inputs, unique)]
    yield _finding("P1", f"no {noun} is lost", len(inputs.ids), lost)
    yield _finding("P1", f"no {noun} is answered twice", len(given), twice)
    yield _finding("P1", f"no answer without its {noun}", len(given), phantom)


def _settled(inputs: Inputs, ids: Ints) -> Bools:
    """Which inputs the group has committed past."""
    settled = np.zeros(len(ids), dtype=bool)
    for partition, committed in inputs.committed.items():
        settled |= (partitions_of(ids) == partition) & (offsets_of(ids) < committed)
    return settled


def _kept(inputs: Inputs, ids: Ints) -> Bools:
    """Which inputs retention has not taken."""
    kept = np.zeros(len(ids), dtype=bool)
    for partition, low in inputs.lows.items():
        kept |= (partitions_of(ids) == partition) & (offsets_of(ids) >= low)
    return kept


def _pending(inputs: Inputs, answers: Answers, dead: Ints) -> Bools:
    open_ = ~np.isin(inputs.ids, answers.inputs) & ~np.isin(inputs.ids, dead)
    return open_ & ~_settled(inputs, inputs.ids)


def _order(answers: Answers) -> Finding:
    """Within an output partition, the inputs of one input partition and entity appear in their order."""
    last: dict[tuple[int, int, bytes], int] = {}
    broken = []
    lanes = (
        np.stack([partitions_of(answers.ids), partitions_of(answers.inputs)])
        if len(answers.ids)
        else np.empty((2, 0), dtype=np.int64)
    )
    for lane in np.unique(lanes, axis=1).T:
        rows = np.flatnonzero((lanes == lane[:, None]).all(axis=0))
        if (np.diff(answers.inputs[rows]) > 0).all():
            continue  # in order for all entities at once: the usual case, without looking at any
        for row in rows.tolist():
            key = (int(lane[0]), int(lane[1]), answers.entities[row])
            if answers.inputs[row] < last.get(
                key, -1
            ):  # the same once more is "answered twice", and no matter of order
                broken.append(int(answers.ids[row]))
            last[key] = max(last.get(key, -1), int(answers.inputs[row]))
    return _finding(
        "P1", f"{answers.role} keep each entity's order", len(answers.ids), np.array(broken, dtype=np.int64)
    )


def _chain(evidence: Evidence) -> Finding:
    """A prediction names the very event that its feature vector was made from."""
    predictions = evidence.predictions
    rows, vectors = _read_vectors(evidence)
    wrong = rows[evidence.features.inputs[vectors] != predictions.sources[rows]]
    return _finding("P1", "predictions name their features' event", len(rows), predictions.ids[wrong])


def _read_vectors(evidence: Evidence) -> tuple[Ints, Ints]:
    """Predictions whose feature vector is still there, and the row of that vector for each."""
    inputs, ids = evidence.predictions.inputs, evidence.features.ids
    by_id = np.argsort(ids)
    at = np.searchsorted(ids[by_id], inputs)
    rows = np.flatnonzero(at < len(ids))
    rows = rows[ids[by_id[at[rows]]] == inputs[rows]]
    return rows, by_id[at[rows]]


def _history(evidence: Evidence) -> Iterator[Finding]:
    """Every answer is explained by the cut-overs and the rollouts, and history never goes back.

    No offset can be the first of two positions: a cut-over commits together with the answer to its first offset.
    """
    by_partition: dict[int, list[Cutover]] = {}
    for cutover in sorted(evidence.cutovers, key=lambda cutover: (cutover.partition, cutover.first_offset)):
        by_partition.setdefault(cutover.partition, []).append(cutover)
    back = [
        f"{later.partition}/{later.first_offset}: {tuple(position(earlier))} → {tuple(position(later))}"
        for cutovers in by_partition.values()
        for earlier, later in pairwise(cutovers)
        if position(later) <= position(earlier) or later.first_offset == earlier.first_offset
    ]
    yield Finding(
        "P2", "positions in history only go forward", len(evidence.cutovers), len(back), tuple(back[:_EXAMPLES])
    )
    yield _explained(evidence, by_partition)
    yield _versions(evidence)
    yield _committed_positions(evidence, by_partition)


def _explained(evidence: Evidence, by_partition: dict[int, list[Cutover]]) -> Finding:
    predictions = evidence.predictions
    partitions, offsets = partitions_of(predictions.inputs), offsets_of(predictions.inputs)
    wrong = np.zeros(len(partitions), dtype=bool)
    for partition in np.unique(partitions).tolist():
        rows = np.flatnonzero(partitions == partition)
        cutovers = by_partition.get(partition, [])
        firsts = np.array([cutover.first_offset for cutover in cutovers], dtype=np.int64)
        expected = np.array([(-1, -1), *(position(cutover) for cutover in cutovers)], dtype=np.int64)
        said = expected[np.searchsorted(firsts, offsets[rows], side="right")]
        wrong[rows] = (said[:, 0] != predictions.epochs[rows]) | (said[:, 1] != predictions.fallbacks[rows])
    return _finding("P2", "each answer's epoch is what the cut-overs say", len(wrong), predictions.ids[wrong])


def _versions(evidence: Evidence) -> Finding:
    predictions = evidence.predictions
    answering = Answering(evidence.rollouts, evidence.first_specs)
    specs = np.full(len(predictions.ids), UNKNOWN_SPEC, dtype=np.int64)
    rows, vectors = _read_vectors(evidence)
    specs[rows] = evidence.features.spec_versions[vectors]
    permitted: dict[tuple[int, int, int], set[str]] = {}
    wrong = []
    keys = zip(predictions.epochs.tolist(), predictions.fallbacks.tolist(), specs.tolist(), strict=True)
    for row, (key, version) in enumerate(zip(keys, predictions.versions, strict=True)):
        if key not in permitted:
            permitted[key] = answering.permitted(Position(key[0], key[1]), key[2])
        if version not in permitted[key]:
            wrong.append(row)
    return _finding("P2", "each answer's version is what its epoch names", len(predictions.ids), predictions.ids[wrong])


def _committed_positions(evidence: Evidence, by_partition: dict[int, list[Cutover]]) -> Finding:
    """The offset metadata of a partition is the last position that it cut over to."""
    broken = []
    for partition, metadata in sorted(evidence.features_read.metadata.items()):
        before = [
            position(cutover)
            for cutover in by_partition.get(partition, [])
            if cutover.first_offset < evidence.features_read.committed[partition]
        ]
        expected = max(before, default=Position(0, 0))
        try:
            said = Position.parse(metadata)
        except ContractError:
            said = None
        if said != expected:
            broken.append(f"{partition}: metadata {metadata!r}, cut-overs {expected.metadata()!r}")
    return Finding(
        "P2",
        "committed metadata is the last cut-over",
        len(evidence.features_read.metadata),
        len(broken),
        tuple(broken[:_EXAMPLES]),
    )


def _finding(promise: str, check: str, looked_at: int, broken: Ints) -> Finding:
    examples = tuple(place(int(identifier)) for identifier in broken[:_EXAMPLES])
    return Finding(promise, check, looked_at, len(broken), examples)
