"""Whether the services of a pipeline are there, and how far they have read: for `doctor` and `model status`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from freshet.contracts.errors import FreshetError
from freshet.contracts.position import Position, Unstamped, unstamped
from freshet.contracts.worker import is_about
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.connection import Connection
from freshet.operate.finding import Health, Line
from freshet.operate.lag.lag_reader import UnreadRecords
from freshet.operate.lag.lag_rows import ANSWERING
from freshet.operate.last_answers import last_answered
from freshet.operate.presence import Presence
from freshet.operate.verify.misplaced import misplaced
from freshet.runtime.bus.protocol import Bus, Committed, Place


def service_line(present: Presence) -> Line:
    """Whether a service of a published pipeline is there. One that was never started is only to be started yet."""
    about = " ".join(filter(None, (present.service, present.pipeline)))
    if present.alive:
        health: Health = "warn" if present.silent else "ok"
        return Line(about, health, present.told, "look at its log, or start it again" if present.silent else "")
    return Line(about, "bad" if present.beats else "warn", f"is not running: {present.told}", present.command)


def waiting_lines(present: Presence, pipeline: str = "") -> Iterator[Line]:
    """What a service that decides for all pipelines says that it waits for; of one pipeline, if one is named."""
    for beat in present.alive:
        told = [warning for warning in beat.worker.warnings if not pipeline or is_about(warning, pipeline)]
        yield from (Line(present.service, "bad", warning) for warning in told)


def warning_lines(ledger: PipelineLedger) -> Iterator[Line]:
    """What the workers that answer a pipeline warn of."""
    for state in ledger.workers.serving().values():
        yield from (Line(f"inference {state.instance}", "warn", warning) for warning in state.warnings)


def judging_lines(found: Sequence[Presence]) -> Iterator[Line]:
    """Whether those that watch a pipeline's answers are there. Nobody needs them to be answered: of a suite, those that
    were never started have one line.
    """
    yield from (service_line(present) for present in found if present.beats)
    never = [present for present in found if not present.beats]
    for suite in dict.fromkeys(present.suite for present in never):
        those = [present for present in never if present.suite == suite]
        names = ", ".join(present.service for present in those)
        verb = "has" if len(those) == 1 else "have"
        yield Line(f"{suite} {those[0].pipeline}", "warn", f"{names} {verb} never been heard", those[0].command)


def retraining_lines(present: Presence, waiting: Sequence[str]) -> Iterator[Line]:
    """Whether retraining is there, if anybody wants it: `waiting` are the pipelines that have triggers."""
    line = service_line(present)
    if present.alive:
        yield line
    elif waiting:
        yield replace(line, seen=f"{line.seen}; triggers of {', '.join(waiting)} lead to no training")


def group_lines(connection: Connection, pipeline: str, present: Mapping[str, Presence]) -> Iterator[Line]:
    """How far each service of a pipeline has read. What nobody is there to read is bad."""
    for service, role in ANSWERING:
        yield _group(connection, pipeline, present[service], role)


def _group(connection: Connection, pipeline: str, present: Presence, role: str) -> Line:
    service, names = present.service, connection.names(pipeline)
    about = f"group {names.group(service)}"
    ends = connection.admin.end_offsets(names.topic(role))
    committed = connection.admin.committed(names.group(service), names.topic(role))
    if not committed:
        return _unread(connection, pipeline, present, role)
    now = connection.bus(pipeline).topic_id(role)
    stamps = {at: unstamped(one.metadata, one.offset) for at, one in committed.items()}
    if any(stamp.topic_id not in ("", now) for stamp in stamps.values()):
        seen = (
            f"its offsets on {role} are of an earlier topic of that name: this one was made anew, and is read from its"
        )
        return Line(about, "warn", f"{seen} start", f"{present.command}, unless it runs")
    behind, exact = _behind(connection.bus(pipeline), role, {at: one.offset for at, one in committed.items()})
    wrong = _strange(service, role, committed, stamps) or _misplaced(connection, pipeline, service, role, committed)
    if wrong:
        return Line(about, "bad", wrong, f"do not start {service} before you know what happened")
    never = len(ends) - len(committed)
    seen = f"{'' if exact else 'at most '}{behind:,} records behind on {role}"
    if behind and not present.alive:
        return Line(about, "bad", f"{seen}, and no worker reports", present.command)
    held = sorted({at.held for one in present.alive for at in one.worker.partitions if at.role == role and at.held})
    if behind and held:
        return Line(about, "warn", f"{seen}; partitions wait: {held[0]}")
    return Line(about, "ok", seen + (f"; {never} partitions never read" if never else ""))


def _strange(service: str, role: str, committed: Mapping[int, Committed], stamps: Mapping[int, Unstamped]) -> str:
    """What another program has done to the offsets; empty if none has."""
    for at, stamp in stamps.items():
        if stamp.moved or not _understood(service, stamp):
            what = "number was changed" if stamp.moved else "text is no position in history"
            return f"another program has written its offsets on {role}: the {what} ({at}: {tuple(committed[at])})"
    return ""


def _misplaced(
    connection: Connection, pipeline: str, service: str, role: str, committed: Mapping[int, Committed]
) -> str:
    """Of the offsets that nobody has moved meanwhile, which one is wrong and why; empty if none is."""
    bus, names = connection.bus(pipeline), connection.names(pipeline)
    answered = last_answered(bus, role)
    after = connection.admin.committed(names.group(service), names.topic(role))
    standing = {at: one.offset for at, one in after.items() if committed.get(at) == one}
    ends = {at: span.high for at, span in bus.spans(role).items()}
    return next(misplaced(role, standing, answered, ends), "")


def _unread(connection: Connection, pipeline: str, present: Presence, role: str) -> Line:
    """A topic of which the group has read nothing yet."""
    about, bus = f"group {connection.names(pipeline).group(present.service)}", connection.bus(pipeline)
    unread, _ = _behind(bus, role, {at: span.low for at, span in bus.spans(role).items()})
    if unread and not present.alive:
        return Line(about, "bad", f"has read none of {unread:,} records on {role}", present.command)
    return Line(about, "warn", f"has never committed on {role}", "" if present.alive else present.command)


def _behind(bus: Bus, role: str, starts: Mapping[int, int]) -> tuple[int, bool]:
    """How many records are unread from these offsets on, by partition, and whether that is exact."""
    unread, spans = UnreadRecords(bus), bus.spans(role)
    try:
        found = [
            unread.of(Place(role, at), max(offset, spans[at].low), spans[at])
            for at, offset in starts.items()
            if at in spans
        ]
    finally:
        unread.close()
    return sum(one.records for one in found), all(one.exact for one in found)


def _understood(service: str, stamp: Unstamped) -> bool:
    if service != "inference":
        return True
    try:
        Position.parse(stamp.metadata)
    except FreshetError:
        return False
    return True
