"""Is it flowing? Topics and the services between them: rates, lag, and what waits and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.console.core.alive import SERVING, Crew, dead_workers, own, silent_workers
from freshet.console.core.answer import Kind, SectionAnswer, Why
from freshet.console.core.measured import GroupLag, Measurements
from freshet.console.core.number_words import lag_words, minute_words, plural, rate_words
from freshet.ledger.held_partitions import HeldPartition, held_partitions
from freshet.ledger.ledger import PipelineLedger

LATE_S: Final = 5.0
"""A record that waits for longer is worth a look."""
SHOWN_PARTITIONS: Final = 24
"""Of more partitions only the worst dozen is shown."""
_WORST: Final = 12
STUCK_ROW: Final = "A transaction that never ends"
"""The section of docs/failures.md on it."""


@dataclass(frozen=True, slots=True)
class TopicSpot:
    """A topic in the picture."""

    role: str
    rate: float | None
    moved_ms: int | None


@dataclass(frozen=True, slots=True)
class Wire:
    """A service in the picture, and what it has not read yet."""

    crew: Crew
    kind: Kind
    lag_s: float | None
    records: int | None
    """Unread records; None if its group has never read."""
    oldest: str
    """partition@offset of the record that has waited longest; empty if none waits."""


@dataclass(frozen=True, slots=True)
class PartitionBar:
    """A partition of the features topic: how long its oldest unanswered record has waited."""

    number: int
    seconds: float
    records: int
    held: bool


@dataclass(frozen=True, slots=True)
class Flowing:
    """The section."""

    answer: SectionAnswer
    upper: tuple[TopicSpot | Wire, ...]
    """From events to outcomes."""
    lower: tuple[TopicSpot | Wire, ...]
    """From feedback to labels."""
    bars: tuple[PartitionBar, ...]
    hidden_bars: int
    """Partitions that are not shown, because others wait longer."""
    whys: tuple[Why, ...]
    lags_ms: int
    """When lag was last measured; 0 if never."""


def flowing(ledger: PipelineLedger, crews: Mapping[str, Crew], measured: Measurements, now_ms: int) -> Flowing:
    """The section, as of that moment of the broker's clock."""
    held = [at for at in held_partitions(ledger, now_ms) if at.held]
    wires = {
        (service, role): _wire(crews[service], measured.lags.get((service, role)), held if role == "features" else ())
        for service, role in (
            ("ingestion", "events"),
            ("inference", "features"),
            ("drift-join", "predictions"),
            ("ingestion", "feedback"),
        )
    }

    def place(role: str) -> TopicSpot:
        ends = measured.ends.get(role)
        return TopicSpot(role, None if ends is None else ends.rate, None if ends is None else ends.moved_ms)

    upper = (
        *(place("events"), wires["ingestion", "events"], place("features"), wires["inference", "features"]),
        *(place("predictions"), wires["drift-join", "predictions"], place("outcomes")),
    )
    lower = place("feedback"), wires["ingestion", "feedback"], place("labels")
    bars, hidden = _bars(measured.lags.get(("inference", "features")), held)
    lags_ms = min((lag.at_ms for lag in measured.lags.values()), default=0)
    whys = (*_absent(crews), *_held(held), *_stuck(measured))
    answer = _answer(ledger, crews, measured, held, list(wires.values()))
    return Flowing(answer, upper, lower, bars, hidden, whys, lags_ms)


def _wire(crew: Crew, lag: GroupLag | None, held: Sequence[HeldPartition]) -> Wire:
    kind = crew.kind
    if kind == "ok" and (held or (lag is not None and lag.worst_s > LATE_S)):
        kind = "held" if held else "warn"
    if lag is None or not lag.started:
        return Wire(crew, kind, None, None, "")
    oldest = max(lag.oldest, key=lambda number: lag.seconds[number], default=None)
    where = "" if oldest is None else f"{oldest}@{lag.oldest[oldest]:,}"
    return Wire(crew, kind, lag.worst_s, lag.total, where)


def _bars(lag: GroupLag | None, held: Sequence[HeldPartition]) -> tuple[tuple[PartitionBar, ...], int]:
    if lag is None:
        return (), 0
    waiting = {at.partition for at in held}
    found = [
        PartitionBar(number, lag.seconds[number], count, number in waiting)
        for number, count in sorted(lag.records.items())
    ]
    if len(found) <= SHOWN_PARTITIONS:
        return tuple(found), 0
    worst = sorted(found, key=lambda bar: (not bar.held, -bar.seconds, -bar.records))[:_WORST]
    return tuple(sorted(worst, key=lambda bar: bar.number)), len(found) - _WORST


def _absent(crews: Mapping[str, Crew]) -> list[Why]:
    found = []
    for worker in dead_workers(own(crews)):
        since = minute_words(worker.beat_ms)
        found.append(
            Why(
                "bad",
                f"{worker.name} has been dead since {since}.",
                "Three of its beats are missing, and it has not said that it leaves. What it had not committed is read "
                "again by whoever takes its place.",
                "Ingestion and inference: one batch",
            )
        )
    found += [
        Why(
            "stale",
            f"{worker.name} is silent.",
            "Its last beat is overdue. After three missed beats it counts as dead.",
            "Ingestion and inference: one batch",
        )
        for worker in silent_workers(own(crews))
    ]
    return found


def _held(held: Sequence[HeldPartition]) -> list[Why]:
    reasons: dict[str, list[int]] = {}
    for at in held:
        reasons.setdefault(at.held, []).append(at.partition)
    return [
        Why(
            "held",
            f"features {', '.join(map(str, sorted(set(numbers))))} {'waits' if len(set(numbers)) == 1 else 'wait'}.",
            f"{reason[:1].upper()}{reason[1:]}{'' if reason.endswith('.') else '.'}",
            "Models",
        )
        for reason, numbers in reasons.items()
    ]


def _stuck(measured: Measurements) -> list[Why]:
    return [
        Why("warn", told, "Nobody sees the records behind it before it ends.", STUCK_ROW) for told in measured.stuck
    ]


def _answer(
    ledger: PipelineLedger,
    crews: Mapping[str, Crew],
    measured: Measurements,
    held: Sequence[HeldPartition],
    wires: Sequence[Wire],
) -> SectionAnswer:
    away = next((crews[name] for name in SERVING if not crews[name].alive), None)
    if away is not None:
        what = "does not run" if away.workers else "has never been heard of"
        return SectionAnswer("bad", f"No: {away.service} {what}, so no event is answered.", f"no {away.service} runs")
    if not ledger.epochs.serving:
        return SectionAnswer("wait", "Not yet: no model answers, so events wait.", "waits for a model")
    return _impaired(own(crews), held) or _moving(measured, wires)


def _impaired(crews: Sequence[Crew], held: Sequence[HeldPartition]) -> SectionAnswer | None:
    """What keeps some of it from flowing; None if nothing does."""
    if dead := dead_workers(crews):
        names = ", ".join(worker.name for worker in dead[:3])
        return SectionAnswer("bad", f"Yes, but {names} {'is' if len(dead) == 1 else 'are'} dead.", f"{len(dead)} dead")
    if count := len({at.partition for at in held}):
        told = plural(count, "partition")
        return SectionAnswer("held", f"Yes, but {told} {'waits' if count == 1 else 'wait'}.", f"{told} held")
    if silent := silent_workers(crews):
        return SectionAnswer("stale", f"So far: {silent[0].name} is silent.", f"{len(silent)} silent")
    return None


def _moving(measured: Measurements, wires: Sequence[Wire]) -> SectionAnswer:
    late = next((wire for wire in wires if wire.kind == "warn"), None)
    if late is not None:
        waits = lag_words(late.lag_s)
        told = f"{late.crew.service} is {waits} behind: {late.records or 0:,} records wait"
        return SectionAnswer("warn", f"Yes, but {told}.", f"{waits} behind")
    rate = measured.rate("predictions")
    if rate is None:
        return SectionAnswer("wait", "It is being measured.", "being measured")
    if not rate:
        return SectionAnswer("off", "Nothing comes in now; nothing waits.", "nothing comes in")
    waited = lag_words(measured.answer_s)
    return SectionAnswer("ok", "Yes: events are answered as they come.", f"{rate_words(rate)}, lag {waited}")
