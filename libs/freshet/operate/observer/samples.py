"""What is known of a pipeline as samples of metrics. Pure: records and times in, numbers out."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, Final, NamedTuple

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Alarm, Message
from freshet.contracts.training_message import Training
from freshet.ledger.epochs import Tenure
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.lag.lag_rows import Lag, PartitionLag
from freshet.operate.quality.series_quality import SERVED, VERSION, adds_up
from freshet.operate.verify.findings import Judgement
from freshet.quality.counts import Counts
from freshet.quality.metrics import metrics
from freshet.runtime.metrics import of_topics as told
from freshet.runtime.metrics.metric import Metric

_NEWEST_ROWS: Final = 1000
_DAY_MS: Final = 86_400_000
_TRAINED_THROUGH: Final = "trained_through_ms"


class Sample(NamedTuple):
    """A value of a metric under its labels."""

    metric: Metric[Any]
    labels: tuple[str, ...]
    value: float


def of_lag(lag: Lag) -> Iterator[Sample]:
    """Lag of all that somebody reads, or has to."""
    name = lag.pipeline
    shown = {(hop.service, hop.role) for hop in lag.hops if hop.needed or hop.started}
    for row in _told_apart([row for row in lag.partitions if (row.service, row.role) in shown]):
        yield Sample(told.LAG_RECORDS, (name, *row.labels), row.records)
        yield Sample(told.LAG_SECONDS, (name, *row.labels), row.seconds)
    for path in lag.paths:
        yield Sample(told.PATH_LAG_RECORDS, (name, path.end), path.records)
        yield Sample(told.PATH_LAG_SECONDS, (name, path.end), path.seconds)
    hidden = {(row.role, row.partition): row.hidden for row in lag.partitions}
    for role in dict.fromkeys(row.role for row in lag.partitions):
        offsets = sum(count for (of, _), count in hidden.items() if of == role)
        yield Sample(told.HIDDEN_OFFSETS, (name, role), offsets)
    roles = {row.topic: row.role for row in lag.partitions}
    stuck = Counter(dict.fromkeys(roles.values(), 0))
    stuck.update(roles.get(one.topic, "offsets") for one in lag.stuck)
    for role, count in stuck.items():
        yield Sample(told.STUCK_TRANSACTIONS, (name, role), count)


class _Row(NamedTuple):
    labels: tuple[str, str, str]
    records: int
    seconds: float


def _told_apart(rows: Sequence[PartitionLag]) -> Iterator[_Row]:
    """A row for each partition; one for all of a topic that has too many."""
    for service, role in dict.fromkeys((row.service, row.role) for row in rows):
        own = [row for row in rows if (row.service, row.role) == (service, role)]
        if len(own) > told.PARTITIONS_SHOWN:
            total = sum(row.records for row in own)
            yield _Row((service, role, "all"), total, max(row.seconds for row in own))
        else:
            yield from (_Row((service, role, str(row.partition)), row.records, row.seconds) for row in own)


def of_ledger(ledger: PipelineLedger, now_ms: int) -> Iterator[Sample]:
    """Who is there, what is in force, and how fresh it is."""
    name = ledger.name
    states = Counter[tuple[str, str]]()
    for beat in ledger.workers.beats.values():
        said = beat.state(now_ms)
        states[beat.worker.service, "silent" if said == "silent" else "alive"] += said != "leaving"
    for service in {service for service, _ in states}:
        for state in ("alive", "silent"):
            yield Sample(told.WORKERS, (name, service, state), states[service, state])
    tenures = list(ledger.epochs.history())
    if not tenures:
        return
    yield Sample(told.EPOCH_IN_FORCE, (name,), tenures[-1].rollout.epoch)
    through_ms = _trained_through_ms(ledger)
    if through_ms is not None:
        since_ms = _went_live_ms(tenures)
        yield Sample(told.FRESHNESS, (name,), max(0, now_ms - through_ms) / 1000)
        yield Sample(told.LABEL_TO_LIVE, (name,), max(0, since_ms - through_ms) / 1000)


def _trained_through_ms(ledger: PipelineLedger) -> int | None:
    """The newest label that the answering version has learned from, by its lineage."""
    record = ledger.versions.records.get(ledger.epochs.serving)
    said = "" if record is None else record.manifest.lineage.get(_TRAINED_THROUGH, "")
    return int(said) if said.isdecimal() else None


def _went_live_ms(tenures: Sequence[Tenure]) -> int:
    """Since when the version that answers now has answered: epochs may change without it."""
    last = tenures[-1]
    since_ms = last.since_ms
    for tenure in reversed(tenures):
        if tenure.rollout.table != last.rollout.table:
            break
        since_ms = tenure.since_ms
    return since_ms


class Episodes:
    """The alarms of one pipeline: counted, and which episodes of drift are open."""

    def __init__(self) -> None:
        self._counts = Counter[tuple[str, str, str]]()
        self._seen = set[str]()
        self._detected: dict[str, int] = {}
        """When the newest detected alarm of an episode was raised, by episode."""

    def take(self, alarm: Alarm) -> None:
        """One more; an id counts once."""
        if alarm.id in self._seen:
            return
        self._seen.add(alarm.id)
        self._counts[alarm.detector, alarm.cause, alarm.level] += 1
        if alarm.level == "detected":
            self._detected[alarm.episode] = max(alarm.at_ms, self._detected.get(alarm.episode, 0))

    def samples(self, ledger: PipelineLedger) -> Iterator[Sample]:
        """Counts, and how many episodes no later version has answered."""
        for labels, count in sorted(self._counts.items()):
            yield Sample(told.ALARMS, (ledger.name, *labels), count)
        tenures = list(ledger.epochs.history())
        answered_ms = _went_live_ms(tenures) if tenures else 0
        yield Sample(told.OPEN_EPISODES, (ledger.name,), sum(at > answered_ms for at in self._detected.values()))


class Trainings:
    """The trainings of one pipeline, by their newest record."""

    def __init__(self) -> None:
        self._phases: dict[str, str] = {}

    def take(self, record: Training) -> None:
        """A training that has ended stays so, whatever is read again."""
        if record.phase != "started" or record.training not in self._phases:
            self._phases[record.training] = record.phase

    def samples(self, pipeline: str) -> Iterator[Sample]:
        """How they ended, and how many have not."""
        phases = Counter(self._phases.values())
        for phase in ("finished", "failed", "skipped"):
            yield Sample(told.TRAININGS, (pipeline, phase), phases[phase])
        yield Sample(told.TRAININGS_OPEN, (pipeline,), phases["started"])


class NewestQuality:
    """How good the answers of one pipeline were lately, series by series."""

    def __init__(self) -> None:
        self._points: dict[str, deque[Counts]] = {}
        self._closed: deque[Evaluation] = deque()

    def take(self, record: Evaluation) -> None:
        """One more evaluation. Only the newest rows of each series are kept, and versions are no series here."""
        if not adds_up(record):
            return
        if record.view == "closed":
            if record.series == SERVED:
                self._closed.append(record)
                while record.end_ms - self._closed[0].end_ms > _DAY_MS:
                    self._closed.popleft()
            return
        if record.series.startswith(VERSION):
            return
        points = self._points.setdefault(record.series, deque())
        if points and record.first_row < points[-1].end_row:
            points.clear()  # the pipeline was deleted, and came again
        points.append(Counts.of(record))
        while sum(one.rows for one in points) - points[0].rows >= _NEWEST_ROWS:
            points.popleft()

    def samples(self, pipeline: str) -> Iterator[Sample]:
        """One figure for each series, and the share that has labels."""
        order = sorted(self._points, key=lambda name: (name != SERVED, not name.startswith("baseline:"), name))
        for series in order[: told.SERIES_SHOWN]:
            total = reduce(add, self._points[series])
            found = metrics(total)
            if total.confusion.size:
                yield Sample(told.ACCURACY, (pipeline, series), found.accuracy)
            else:
                yield Sample(told.MEAN_ABSOLUTE_ERROR, (pipeline, series), found.mae)
        if predictions := sum(record.predictions for record in self._closed):
            labelled = sum(record.rows for record in self._closed)
            yield Sample(told.LABELLED, (pipeline,), labelled / predictions)


def of_judgement(pipeline: str, found: Judgement) -> Iterator[Sample]:
    """Whether every input became exactly one answer, as `freshet verify` judges."""
    breaches = Counter[str]()
    for finding in found.findings:
        breaches[finding.check] += finding.breaches
    for check, count in breaches.items():
        yield Sample(told.BREACHES, (pipeline, check), count)
    yield Sample(told.JUDGED, (pipeline,), found.judged)
    for became, count in (("prediction", found.answered), ("dead_letter", found.dead), ("waiting", found.pending)):
        yield Sample(told.ANSWERED, (pipeline, became), count)


class Kept:
    """What is remembered of one pipeline beside its ledger."""

    def __init__(self) -> None:
        self.episodes, self.trainings, self.quality = Episodes(), Trainings(), NewestQuality()

    def take(self, message: Message) -> None:
        """One more record about it."""
        match message:
            case Alarm():
                self.episodes.take(message)
            case Training():
                self.trainings.take(message)
            case Evaluation():
                self.quality.take(message)

    def samples(self, ledger: PipelineLedger) -> Iterator[Sample]:
        """All of it."""
        yield from self.episodes.samples(ledger)
        yield from self.trainings.samples(ledger.name)
        yield from self.quality.samples(ledger.name)
