"""Which candidates are being judged: all that the registry remembers and no topic holds. Losing it costs a repeat."""

from typing import Final, NamedTuple, cast

from freshet.contracts.logic import Announce, Outcome
from freshet.contracts.messages import Change, ModelVersion, Verdict
from freshet.registry.core import announce
from freshet.registry.core.jobs import Admit, Report
from freshet.registry.core.state import PipelineState
from freshet.registry.core.versions import Version, next_version

_FIRST_WAIT_MS: Final = 1_000
_LONGEST_WAIT_MS: Final = 60_000
"""A candidate that nobody could judge is tried again after 1, 2, 4 … 60 s; others have their turn meanwhile."""


class _Failed(NamedTuple):
    times: int
    again_ms: int


class Admissions:
    """At most one admission at a time for each pipeline, in the order of publication."""

    def __init__(self) -> None:
        self._running: dict[str, Admit] = {}
        self._ended: dict[str, Outcome] = {}
        self._failed: dict[tuple[str, str], _Failed] = {}

    def next(self, state: PipelineState, now_ms: int) -> Admit | None:
        """The admission to start now. It counts as running until `end` is told of it."""
        if state.name in self._running or state.rules is None or state.rules.spec is None:
            return None
        due = [
            waiting
            for digest, waiting in state.candidates.items()
            if now_ms >= self._failed.get((state.name, digest), _Failed(0, 0)).again_ms
        ]
        if not due:
            return None
        first = min(due, key=lambda waiting: (waiting.offset, waiting.candidate.manifest.digest))
        spec = state.rules.spec
        job = Admit(first.candidate, state.rules.number, spec.feature_names, spec.target.classes, spec.limits)
        self._running[state.name] = job
        return job

    def end(self, outcome: Outcome) -> None:
        """An admission has ended, with a report or with an error."""
        assert isinstance(outcome.job, Admit)
        self._ended[outcome.job.pipeline] = outcome

    def verdict(self, state: PipelineState, now_ms: int) -> list[Announce]:
        """The records that follow from an ended admission; the same again until they are folded."""
        outcome = self._ended.get(state.name)
        if outcome is None:
            return []
        job = self._running[state.name]
        key = (state.name, job.digest)
        if job.digest in state.candidates and outcome.error is None:
            return _judge(state, job, cast(Report, outcome.result), now_ms)
        failed = self._failed.pop(key, _Failed(0, 0)).times
        if outcome.error is not None:
            wait_ms = min(_FIRST_WAIT_MS << min(failed, 10), _LONGEST_WAIT_MS)
            self._failed[key] = _Failed(failed + 1, now_ms + wait_ms)
        del self._running[state.name], self._ended[state.name]
        return []


def _judge(state: PipelineState, job: Admit, report: Report, now_ms: int) -> list[Announce]:
    """The version or the refusal, and the decision that explains it."""
    manifest = job.candidate.manifest
    if report.admitted:
        newest = next(((Version.parse(record.version), record.manifest) for record in reversed(state.versions)), None)
        number, why = next_version(manifest, newest)
        version, reason = str(number), f"admitted as {number}: {why}."
    else:
        version, reason = "", f"{report.reason}: {report.detail}"
    record = ModelVersion(
        pipeline=state.name,
        version=version,
        state="admitted" if report.admitted else "refused",
        reason=reason,
        manifest=manifest,
        chunk_offsets=job.candidate.chunk_offsets,
        memory_bytes=report.memory_bytes,
        history=(Change(at_ms=now_ms, what=reason),),
    )
    inputs = {
        "version": version,
        "specification": str(job.specification),
        "memory_bytes": str(report.memory_bytes),
        "p99_us": str(report.p99_us),
    }
    verdict: Verdict = "done" if report.admitted else "refused"
    return [
        announce.model(record),
        announce.decision(state.name, "candidate", manifest.digest, verdict, reason, inputs=inputs),
    ]
