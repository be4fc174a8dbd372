"""Whether the services of a pipeline are there, and how far they have read: for `doctor` and `model status`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from freshet.contracts.errors import FreshetError
from freshet.contracts.position import Position, Unstamped, unstamped
from freshet.operate.connection import Connection
from freshet.operate.finding import Health, Line
from freshet.operate.last_answers import last_answered
from freshet.operate.presence import Presence
from freshet.operate.verify.misplaced import misplaced
from freshet.runtime.bus.protocol import Bus, Committed, ExpiredError, Place

READS: Final = (("ingestion", "events"), ("ingestion", "feedback"), ("inference", "features"))
"""Services and what each reads as a group."""

_COUNTED: Final = 1000
_READ_S: Final = 15.0


def service_line(present: Presence) -> Line:
    """Whether a service of a published pipeline is there. One that was never started is only to be started yet."""
    about = " ".join(filter(None, (present.service, present.pipeline)))
    if present.alive:
        health: Health = "warn" if present.silent else "ok"
        return Line(about, health, present.told, "look at its log, or start it again" if present.silent else "")
    return Line(about, "bad" if present.beats else "warn", f"is not running: {present.told}", present.command)


def retraining_lines(present: Presence, waiting: Sequence[str]) -> Iterator[Line]:
    """Whether retraining is there, if anybody wants it: `waiting` are the pipelines that have triggers."""
    line = service_line(present)
    if present.alive:
        yield line
    elif waiting:
        yield replace(line, seen=f"{line.seen}; triggers of {', '.join(waiting)} lead to no training")


def group_lines(connection: Connection, pipeline: str, present: Mapping[str, Presence]) -> Iterator[Line]:
    """How far each service of a pipeline has read. What nobody is there to read is bad."""
    for service, role in READS:
        yield _group(connection, pipeline, present[service], role)


def _group(connection: Connection, pipeline: str, present: Presence, role: str) -> Line:
    service, names = present.service, connection.names(pipeline)
    about = f"group {names.group(service)}"
    ends = connection.admin.end_offsets(names.topic(role))
    committed = connection.admin.committed(names.group(service), names.topic(role))
    if not committed:
        return _unread(connection, pipeline, present, role, ends)
    now = connection.bus(pipeline).topic_id(role)
    stamps = {at: unstamped(one.metadata, one.offset) for at, one in committed.items()}
    if any(stamp.topic_id not in ("", now) for stamp in stamps.values()):
        seen = (
            f"its offsets on {role} are of an earlier topic of that name: this one was made anew, and is read from its"
        )
        return Line(about, "warn", f"{seen} start", f"{present.command}, unless it runs")
    behind, exact = _behind(connection.bus(pipeline), role, {at: one.offset for at, one in committed.items()}, ends)
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


def _unread(connection: Connection, pipeline: str, present: Presence, role: str, ends: Mapping[int, int]) -> Line:
    """A topic of which the group has read nothing yet."""
    about, bus = f"group {connection.names(pipeline).group(present.service)}", connection.bus(pipeline)
    unread, _ = _behind(bus, role, {at: span.low for at, span in bus.spans(role).items()}, ends)
    if unread and not present.alive:
        return Line(about, "bad", f"has read none of {unread:,} records on {role}", present.command)
    return Line(about, "warn", f"has never committed on {role}", "" if present.alive else present.command)


def _behind(bus: Bus, role: str, committed: Mapping[int, int], ends: Mapping[int, int]) -> tuple[int, bool]:
    """How many records a group has not read, and whether that is exact.

    Each transaction leaves a marker behind its records, which no group commits past: a short rest is read, to count
    what there is for a reader.
    """
    rest = {at: ends[at] - offset for at, offset in committed.items() if ends.get(at, 0) > offset}
    total = sum(rest.values())
    if not 0 < total <= _COUNTED:
        return total, not total
    reader = bus.reader([role], {Place(role, at): committed[at] for at in rest})
    seen, deadline = 0, time.monotonic() + _READ_S
    try:
        while time.monotonic() < deadline:
            seen += sum(len(batch.keys) for batch in reader.read(_COUNTED, 0.5))
            if reader.caught_up():
                return seen, True
    except ExpiredError:
        pass  # some of it is gone: what is left is less than the rest
    finally:
        reader.close()
    return total, False


def _understood(service: str, stamp: Unstamped) -> bool:
    if service != "inference":
        return True
    try:
        Position.parse(stamp.metadata)
    except FreshetError:
        return False
    return True
