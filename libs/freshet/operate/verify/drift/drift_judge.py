"""Judges drift: reads the labelled log and what was said of it, then the predictions and labels that it is made of.

Whatever is made of something is read first: so all that it can be made of is there when that is read.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from freshet.avro.control import decode
from freshet.contracts.errors import ContractError, NewerRecordError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Alarm, Message, Outcomes
from freshet.contracts.position import unstamped
from freshet.detectors.observing import LogRecord
from freshet.operate.facts import ledger_of
from freshet.operate.verify.drift import refolded
from freshet.operate.verify.drift.contents import Sample
from freshet.operate.verify.drift.joined import Joined
from freshet.operate.verify.drift.log_counts import PROMISE, LabelledLog
from freshet.operate.verify.drift.profiled import judge_profiles
from freshet.operate.verify.drift.retold import Said
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.operate.verify.visible import Horizon, Patience
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, Committed, Place

GroupOffsets = Callable[[str, str], Mapping[int, Committed]]
"""Committed offsets of a service's group on a role's topic, by partition."""

SAMPLED: Final = 1000
"""Rows that are held against their predictions and labels, unless more are asked for."""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class DriftJudgement:
    """What came of it."""

    findings: tuple[Finding, ...] = ()
    unread: int = 0
    """Predictions and labels that the join has not read, and messages that evaluate and detect have still to say."""
    unjudged: tuple[Unjudged, ...] = ()
    warnings: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """Roles of topics with a transaction that stayed open."""


def judge_drift(
    bus: Bus,
    pipeline: str,
    committed: GroupOffsets,
    *,
    since_ms: int | None = None,
    scores: int = 0,
    patience: Patience | None = None,
) -> DriftJudgement:
    """Judge the labelled log of a pipeline, its profiles, evaluations and alarms, as far as retention has left them.

    `since_ms`: rows about predictions that the broker got since then; what adds up is judged from the log's beginning.
    `scores`: so many rows are held against their feature vectors, too. Takes about 250 bytes of memory for a labelled
    event. Raises RetriableError if the broker falls silent.
    """
    found = _Drift(bus, pipeline, committed, patience or Patience()).judged(since_ms or 0, scores)
    profiles = judge_profiles(bus, pipeline, committed)
    return replace(
        found,
        findings=(*found.findings, *profiles.findings),
        unjudged=(*found.unjudged, *profiles.unjudged),
        unread=found.unread + profiles.pending,
    )


@dataclass(slots=True)
class _Drift:
    bus: Bus
    pipeline: str
    committed: GroupOffsets
    patience: Patience
    foreign: list[str] = field(default_factory=list)
    read: int = 0

    def judged(self, since_ms: int, scores: int) -> DriftJudgement:
        read = {
            Place(role, number): offset
            for role in ("predictions", "labels")
            for number, offset in self._reached("drift-join", role).items()
        }
        said = Horizon(self.bus, ("evaluations", "alarms"))
        evaluations = self._said(said, "evaluate", "evaluation", Evaluation)
        every = self._said(said, "detect", "alarm", Alarm)
        alarms = replace(every, messages=[(at_ms, one) for at_ms, one in every.messages if one.watched == "outcomes"])
        horizon = Horizon(self.bus, ("outcomes",))
        ledger = ledger_of(self.bus, "pipelines", "models").of(self.pipeline)
        specs = dict(_readable({number: record.spec for number, record in ledger.specifications.items()}))
        records = self._records(horizon)
        first = next(records, None)
        if first is None:
            return self._nothing()
        expired = self.bus.spans("outcomes")[0].low > 0
        made_again = (
            refolded.evaluations(refolded.evaluation_fold(specs), evaluations, first.at_ms),
            refolded.alarms(refolded.alarm_fold(self.pipeline, specs, ledger), alarms, first.at_ms),
        )
        folds = [made for made in made_again if made.retold.said.has_run and not expired]
        log, sample = LabelledLog(expired=expired), Sample(scores or SAMPLED)
        for at in _chained(first, records):
            try:
                rows = OutcomeRows.of(at.record)
            except ContractError:
                self.foreign.append(f"outcomes 0/{at.offset}")
                continue
            log.add(at.offset, at.record, rows)
            sample.add(at.record, rows)
            for made in folds:
                made.add(at)
        joined = Joined(self.bus, specs, log, sample, read).judged(since_ms, with_values=scores > 0)
        hidden = dict(self._hidden(said, horizon))
        behind = [f"{role}: offsets {first:,} to {last:,} are hidden" for role, (first, last) in hidden.items()]
        return DriftJudgement(
            findings=(
                *log.findings(),
                *joined.findings,
                *(finding for made in folds for finding in made.findings()),
                listed(PROMISE, "only Freshet writes the labelled log and what is said of it", self.read, self.foreign),
                listed(PROMISE, f"no transaction of drift is open for {self.patience.limit_s:.0f} s", 3, behind),
            ),
            unread=joined.unread + sum(made.pending for made in folds),
            unjudged=tuple(
                one
                for one in (*joined.unjudged, *(one for made in made_again for one in made.unjudged(expired=expired)))
                if one.count
            ),
            warnings=tuple(
                f"drift-{made.retold.said.service} has not run: there are no {made.retold.said.noun}s to judge."
                for made in made_again
                if not made.retold.said.has_run
            ),
            hidden=tuple(hidden),
        )

    def _nothing(self) -> DriftJudgement:
        labels = sum(span.end - span.low for span in self.bus.spans("labels").values())
        if not labels:
            return DriftJudgement()
        why = "No drift service has run, or what it wrote has expired: whether labels met predictions is not judged."
        return DriftJudgement(warnings=(why,))

    def _said(self, horizon: Horizon, service: str, noun: str, kind: type[M]) -> Said[M]:
        """All that is left of what a service has said."""
        role, reached = f"{noun}s", self._reached(f"drift-{service}", "outcomes").get(0)
        messages: list[tuple[int, M]] = []
        kept_since_ms = -1
        cut = any(span.low > 0 for span in self.bus.spans(role).values())
        for batch in horizon.read(self.bus, role, self.patience):
            if cut and kept_since_ms < 0:
                kept_since_ms = int(batch.timestamps_ms[0])
            rows = zip(batch.offsets.tolist(), batch.timestamps_ms.tolist(), batch.values, batch.keys, strict=True)
            for offset, at_ms, value, key in rows:
                if key == self.pipeline.encode():
                    self.read += 1
                    message = self._message(role, offset, value, kind)
                    messages += [(at_ms, message)] if message is not None else []
        return Said(service, noun, messages, reached, kept_since_ms)

    def _reached(self, service: str, role: str) -> dict[int, int]:
        """The offset that a service reads next of each partition of the topic that there is now."""
        present = self.bus.topic_id(role)
        found = {}
        for number, at in self.committed(service, role).items():
            _, life, _ = unstamped(at.metadata, at.offset)
            if not life or not present or life == present:
                found[number] = at.offset
        return found

    def _records(self, horizon: Horizon) -> Iterator[LogRecord]:
        """The labelled log up to the horizon: what came later may be of a specification that was not read."""
        end = horizon.highs["outcomes"].get(0, 0)
        for batch in horizon.read(self.bus, "outcomes", self.patience):
            rows = zip(batch.offsets.tolist(), batch.timestamps_ms.tolist(), batch.values, strict=True)
            for offset, at_ms, value in rows:
                if offset < end:
                    self.read += 1
                    record = self._message("outcomes", offset, value, Outcomes)
                    if record is not None:
                        yield LogRecord(offset, at_ms, record)

    def _message(self, role: str, offset: int, value: bytes | None, kind: type[M]) -> M | None:
        """None where a stranger wrote it, which is noted."""
        try:
            message = None if value is None else decode(role, value)
        except NewerRecordError:
            raise
        except ContractError:
            message = None
        if isinstance(message, kind) and getattr(message, "pipeline", None) == self.pipeline:
            return message
        self.foreign.append(f"{role} 0/{offset}")
        return None

    def _hidden(self, *horizons: Horizon) -> Iterator[tuple[str, tuple[int, int]]]:
        for horizon in horizons:
            for role in horizon.highs:
                for found in horizon.hidden(self.bus, role).values():
                    yield role, found


def _readable(texts: Mapping[int, str]) -> Iterator[tuple[int, PipelineSpec]]:
    """Those that this release can read."""
    for number, text in texts.items():
        try:
            yield number, PipelineSpec.parse(text)
        except ContractError:
            continue


def _chained(first: LogRecord, rest: Iterator[LogRecord]) -> Iterator[LogRecord]:
    yield first
    yield from rest
