"""Which candidates are being judged: all that the registry remembers and no topic holds. Losing it costs a repeat."""

from typing import Any, Final, NamedTuple

from freshet.contracts.logic import Announce, Cancel, Outcome, Start
from freshet.contracts.messages import Candidate, Change, ModelVersion, Verdict
from freshet.ledger.versions import AGAIN, REFUSED_AGAIN, Version
from freshet.models.verdict import AdmissionVerdict
from freshet.registry.core import announce
from freshet.registry.core.admission_job import Admit
from freshet.registry.core.numbering import next_version
from freshet.registry.core.short_text import listed
from freshet.registry.core.state import PipelineState, Waiting
from freshet.trust.signature_check import Objection

_FIRST_WAIT_MS: Final = 1_000
_LONGEST_WAIT_MS: Final = 60_000
"""A candidate that nobody could judge is tried again after 1, 2, 4 … 60 s; others have their turn meanwhile."""


class _Failed(NamedTuple):
    times: int
    again_ms: int


class Judged(NamedTuple):
    """A candidate, and what it was judged by: the number of the specification, and the record that asked."""

    candidate: Candidate
    specification: int
    manifest_id: str
    offset: int


class Admissions:
    """At most one admission at a time for each pipeline, in the order of publication."""

    def __init__(self) -> None:
        self._running: dict[str, Admit] = {}
        self._ended: dict[str, Outcome[AdmissionVerdict]] = {}
        self._failed: dict[tuple[str, str], _Failed] = {}
        self._cancelled: set[str] = set()

    def next(self, state: PipelineState, now_ms: int) -> Start | Cancel | None:
        """The admission to start now, or the one that is vain. It counts as running until `end` is told of it."""
        running = self._running.get(state.name)
        if running is not None:
            vain = state.name not in self._ended and not _is_open(state, running)
            if not vain or state.name in self._cancelled:
                return None
            self._cancelled.add(state.name)
            return Cancel(running.queue)
        if state.rules is None or state.rules.spec is None:
            return None
        due = [
            (waiting.offsets[0], identity)
            for identity, waiting in state.candidates.items()
            if identity not in state.ledger.versions.admitted_as
            and not _distrust(state, waiting)
            and now_ms >= self._failed.get((state.name, identity), _Failed(0, 0)).again_ms
        ]
        if not due:
            return None
        _, identity = min(due)
        first, spec = state.candidates[identity], state.rules.spec
        job = Admit(
            first.candidate,
            state.rules.number,
            spec.feature_names,
            spec.target.classes,
            spec.limits,
            identity,
            first.offsets[-1],
        )
        self._running[state.name] = job
        return Start(job)

    def end(self, outcome: Outcome[Any]) -> None:
        """An admission has ended, with a verdict or with an error."""
        match outcome:
            case Outcome(Admit() as job, (AdmissionVerdict() | None) as found, error):
                self._ended[job.pipeline] = Outcome(job, found, error)

    def verdict(self, state: PipelineState, now_ms: int) -> list[Announce]:
        """The records that follow from an ended admission; the same again until they are folded."""
        outcome = self._ended.get(state.name)
        if outcome is None:
            return []
        job = self._running[state.name]
        key = (state.name, job.manifest_id)
        if _is_open(state, job) and outcome.result is not None:
            judged = Judged(job.candidate, job.specification, job.manifest_id, job.offset)
            return _judge(state, judged, outcome.result, now_ms)
        failed = self._failed.pop(key, _Failed(0, 0)).times
        if outcome.error is not None and state.name not in self._cancelled:
            wait_ms = min(_FIRST_WAIT_MS << min(failed, 10), _LONGEST_WAIT_MS)
            self._failed[key] = _Failed(failed + 1, now_ms + wait_ms)
        del self._running[state.name], self._ended[state.name]
        self._cancelled.discard(state.name)
        return []


def renew_published(state: PipelineState, now_ms: int) -> list[Announce]:
    """A version that was published again: its record says where its chunks lie now, and takes what it is signed with.

    Signatures that count for less than those it has are left out: anybody may publish a manifest again. Whoever did is
    told so in the history of the version, which stays what it is.
    """
    renewed, versions = [], state.ledger.versions
    for identity in sorted(state.candidates.keys() & versions.admitted_as.keys()):
        waiting, record = state.candidates[identity], versions.records[versions.admitted_as[identity]]
        candidate = waiting.candidate
        changes: dict[str, object] = {"candidate_offset": waiting.offsets[-1]}
        what = f"{AGAIN}: its chunks are looked for there first."
        if candidate.chunk_offsets:
            changes["chunk_offsets"] = candidate.chunk_offsets
        if found := _distrust(state, waiting):
            what = f"{REFUSED_AGAIN}{found}"
        elif candidate.signatures and candidate.signatures != record.signatures:
            changes["signatures"] = candidate.signatures
            what = f"{AGAIN}: its new signature by {listed(candidate.signatures)} counts."
        renewed.append(announce.model(announce.revised(record, now_ms, "publish", what, **changes)))
    return renewed


def refuse_unsigned(state: PipelineState, now_ms: int) -> list[Announce]:
    """The refusal of the first candidate that no trusted builder has signed, before any of its bytes is looked at."""
    rules = state.rules
    if rules is None or rules.spec is None:
        return []
    for identity, waiting in sorted(state.candidates.items(), key=lambda found: found[1].offsets[0]):
        if identity in state.ledger.versions.admitted_as:
            continue
        if found := _distrust(state, waiting):
            judged = Judged(waiting.candidate, rules.number, identity, waiting.offsets[-1])
            return _judge(state, judged, AdmissionVerdict(False, found.reason, found.detail), now_ms)
    return []


def _distrust(state: PipelineState, waiting: Waiting) -> Objection | None:
    return state.trust.of_manifest(waiting.candidate.manifest, waiting.candidate.signatures)


def _is_open(state: PipelineState, job: Admit) -> bool:
    """Whether the record that was judged still waits for its verdict."""
    waiting, identity = state.candidates.get(job.manifest_id), job.manifest_id
    return waiting is not None and job.offset in waiting.offsets and identity not in state.ledger.versions.admitted_as


def _judge(state: PipelineState, judged: Judged, found: AdmissionVerdict, now_ms: int) -> list[Announce]:
    """The version or the refusal, and the decision that explains it."""
    manifest, versions = judged.candidate.manifest, state.ledger.versions
    trouble = "" if found.admitted else f"{found.reason}: {found.detail}"
    if not trouble and manifest.digest in state.ledger.revoked():
        twin = ", ".join(versions.same_bytes(manifest.digest))
        trouble = f"artifact_revoked: these bytes failed in service as {twin}; reinstate it, or train another model."
    if trouble:
        version, reason = "", trouble
    else:
        newest = versions.newest
        number, why = next_version(manifest, (Version.parse(newest.version), newest.manifest) if newest else None)
        if number <= versions.highest:
            number = Version(versions.highest.major + 1, 0, 0)
            why = f"the record of {versions.highest} says nothing that counts, and no number is given twice"
        version, reason = str(number), f"admitted as {number}: {why}."
    record = ModelVersion(
        pipeline=state.name,
        version=version,
        state="admitted" if version else "refused",
        reason=reason,
        manifest=manifest,
        chunk_offsets=judged.candidate.chunk_offsets,
        memory_bytes=found.memory_bytes,
        history=(Change(at_ms=now_ms, what=reason),),
        manifest_id=judged.manifest_id,
        candidate_offset=judged.offset,
        signatures=judged.candidate.signatures,
    )
    inputs = {
        "version": version,
        "specification": str(judged.specification),
        "memory_bytes": str(found.memory_bytes),
        "p99_us": str(found.p99_us),
    }
    if found.unguarded:
        inputs["unguarded"] = "; ".join(found.unguarded)
    verdict: Verdict = "done" if version else "refused"
    return [
        announce.model(record),
        announce.decision(state.name, "candidate", manifest.digest, verdict, reason, inputs=inputs),
    ]
