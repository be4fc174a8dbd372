"""The labelled log against the predictions, labels and features that it is made of, partition by partition."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.operate.verify.drift import pairs
from freshet.operate.verify.drift.contents import Asked, At, Contents, Sample, Told
from freshet.operate.verify.drift.log_counts import PROMISE, LabelledLog, PartitionLog
from freshet.operate.verify.drift.pairs import Paired, paired
from freshet.operate.verify.drift.read_logs import InputLog, Records
from freshet.operate.verify.drift.windows import windows_of
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.operate.verify.places import NOTHING
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

_ROLES: Final = ("predictions", "labels")


@dataclass(frozen=True, slots=True)
class JoinJudgement:
    """What came of it; `unread` are predictions and labels that the join has not read."""

    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]
    unread: int


@dataclass(slots=True)
class Joined:
    """One reading of the three topics. `log` and `sample` have taken in the whole labelled log."""

    bus: Bus
    specs: Mapping[int, PipelineSpec]
    log: LabelledLog
    sample: Sample
    committed: Mapping[Place, int]
    """How far the join had committed before the log was read."""
    unread: int = 0
    lost: list[str] = field(default_factory=list)
    left_out: list[Unjudged] = field(default_factory=list)

    def judged(self, since_ms: int, *, with_values: bool) -> JoinJudgement:
        """Rows about predictions that the broker got since then; `with_values` reads features as well."""
        rows = self.sample.rows
        records = Records(self.bus, self._classes)
        parts: list[Paired] = []
        contents = Contents(rows, {}, {}, None, self.bus.topic_id("features"))
        asked: dict[At, Asked] = {}
        told: dict[At, Told] = {}
        for number in sorted(self.bus.spans("predictions")):
            part = self.log.partitions.get(number)
            if part is None:
                for role in _ROLES:
                    self._beyond(Place(role, number), self._offsets(Place(role, number)))
                continue
            if trouble := self._trouble(part):
                self.left_out.append(Unjudged("outcomes", part.rows.size, f"of partition {number}: {trouble}"))
                continue
            logs = self._logs(records, part, since_ms)
            windows = {plan: windows_of(self.specs[plan]) for plan, _, _ in part.plans}
            parts.append(paired(part, logs["predictions"], logs["labels"], windows, since_ms))
            for role, log in logs.items():
                self._beyond(Place(role, number), log.beyond)
            asked |= logs["predictions"].whole
            told |= logs["labels"].whole
        contents.asked, contents.told = asked, told
        if with_values:
            contents.vectors = records.vectors([row.features for row in rows])
        lost = listed(PROMISE, "no record is left out that the join has read", len(self.committed), self.lost)
        findings = (lost, *pairs.findings(parts), *contents.findings())
        return JoinJudgement(findings, (*self.left_out, *pairs.unjudged(parts), *contents.unjudged()), self.unread)

    @property
    def _classes(self) -> tuple[str, ...]:
        """They never change."""
        return next((spec.target.classes for spec in self.specs.values()), ())

    def _trouble(self, part: PartitionLog) -> str:
        """Why a partition cannot be judged; empty if it can."""
        for plan, _, _ in part.plans:
            if plan not in self.specs:
                return f"number {plan} of the pipeline is not on the pipelines topic, or cannot be read here"
        for role in _ROLES:
            span = self.bus.spans(role).get(part.partition)
            if span is None or part.inputs.get(role, 0) > span.high:
                return f"the {role} topic that it was made of is not there any more"
            if any(told == role and life != self.bus.topic_id(role) for told, life in part.topic_ids):
                return f"the {role} topic was made anew since it began, so that offsets in it have two meanings"
        return ""

    def _offsets(self, place: Place) -> Ints:
        """All there are of a partition of which the log says nothing."""
        start = {place: self.bus.spans(place.role)[place.partition].low}
        return np.concatenate([NOTHING, *(batch.offsets for batch in everything(self.bus, place.role, start))])

    def _beyond(self, place: Place, offsets: Ints) -> None:
        """The join has still to read these; but what it had committed past is in the log, or lost."""
        lost = offsets[offsets < self.committed.get(place, 0)]
        self.unread += offsets.size - lost.size
        self.lost += [f"{place.role} {place.partition}/{offset}" for offset in lost.tolist()]

    def _logs(self, records: Records, part: PartitionLog, since_ms: int) -> dict[str, InputLog]:
        found = {}
        reach = max(windows_of(self.specs[plan]).reach for plan, _, _ in part.plans)
        for role, which in (("predictions", "prediction"), ("labels", "label")):
            start = self.bus.spans(role)[part.partition].low
            if since_ms:  # an id that came before, and labels that came before their predictions
                start = max(start, self.bus.offsets_at(role, since_ms - 2 * reach)[part.partition])
            places = [getattr(row, which) for row in self.sample.rows]
            sampled = {offset for number, offset in places if number == part.partition}
            end = part.inputs.get(role, 0)
            found[role] = records.log(Place(role, part.partition), start, end, part.plan_of, sampled)
        return found
