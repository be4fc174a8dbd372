"""`freshet dead-letters`: events that were set aside."""

import json
import time
from typing import Annotated, Any

import typer

from freshet.cli.control import published
from freshet.cli.output import (
    Bootstrap,
    CommandError,
    Exit,
    Json,
    Namespace,
    connect,
    emit,
    reporting,
    say,
    shown_text,
    table,
)
from freshet.cli.records import hexdump, readable
from freshet.cli.redrive import DeadRecord, Redriven, Wanted, dead_records, groups
from freshet.cli.redrive import redrive as send_again
from freshet.cli.times import ago, clock_time, since_ms
from freshet.runtime import dead_letters
from freshet.runtime.bus.protocol import Bus, Place

app = typer.Typer(help="Events that were set aside: look at them, send them again.", no_args_is_help=True)

Pipeline = Annotated[str, typer.Option(help="Whose dead letters.")]
Reason = Annotated[str, typer.Option(metavar="CODE", help="Only this reason, such as input_range.")]
Since = Annotated[
    str, typer.Option(metavar="2h", help="Only newer ones: so long ago, or a time such as 2026-05-01T12:00.")
]

_PLACES_SHOWN = 10


@app.command("list")
@reporting
def list_command(
    pipeline: Pipeline,
    reason: Reason = "",
    since: Since = "",
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Count dead letters by reason, with the newest one's sentence and place."""
    now_ms = _now_ms()
    wanted = Wanted(reason, since_ms(since, now_ms))
    found = groups(dead_records(_bus(pipeline, bootstrap, namespace), wanted))
    document = [
        {
            "reason": group.reason,
            "count": group.count,
            "first_ms": group.first_ms,
            "last_ms": group.last_ms,
            "example": group.example,
            "place": group.place,
        }
        for group in found
    ]
    shown = table("reason", "count", "newest", "place", "its sentence")
    for group in found:
        shown.add_row(group.reason, f"{group.count:,}", ago(group.last_ms, now_ms), group.place, group.example)
    emit(document, shown if found else f"No dead letters{f' for {reason!r}' if reason else ''}.", as_json=as_json)


@app.command()
@reporting
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION/OFFSET", help="Of the dead letter, as `list` shows it.")],
    pipeline: Pipeline,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print one dead letter: why it was set aside, where it came from, and its value decoded and as bytes."""
    bus = _bus(pipeline, bootstrap, namespace)
    record = _at(bus, place)
    (value,) = readable(bus).values(record.role or "events", [record.value])
    document: dict[str, Any] = {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "headers": dict(record.headers),
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "value": value,
        "value_hex": None if record.value is None else record.value.hex(),
    }
    lines = [
        shown_text(f"{record.reason}: {record.detail}"),
        shown_text(f"set aside {clock_time(record.timestamp_ms)} UTC, from {record.original}"),
        *(shown_text(f"  {name} = {text}") for name, text in sorted(record.headers.items())),
        f"key: {shown_text(document['key'])}",
        f"value: {json.dumps(value, ensure_ascii=False)}",
        *hexdump(record.value or b""),
    ]
    emit(document, "\n".join(lines), as_json=as_json)


@app.command()
@reporting
def redrive(
    pipeline: Pipeline,
    reason: Reason = "",
    since: Since = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Publish events that were set aside once more, bytes untouched: after what was wrong has been put right.

    None is sent twice, however often this is called: each leaves a receipt on the dead-letters topic.
    """
    wanted = Wanted(reason, since_ms(since, _now_ms()))
    bus = _bus(pipeline, bootstrap, namespace)
    if reason:
        check_reason(bus, reason)
    say("reading dead letters, and which of them were sent again before …")
    done = send_again(bus, wanted, dry_run=dry_run)
    document = {
        "dry_run": dry_run,
        "sent": done.sent,
        "already_redriven": done.already,
        "not_whole": done.not_whole,
        "not_events": done.others,
        "places": done.places,
    }
    emit(document, _sentences(done, dry_run=dry_run), as_json=as_json)


def check_reason(bus: Bus, reason: str) -> None:
    """Raise CommandError if nothing was set aside for it: most likely it is misspelt."""
    there = [group.reason for group in groups(dead_records(bus, Wanted()))]
    if reason not in there:
        known = f"there are {', '.join(there)}" if there else "there is no dead letter at all"
        raise CommandError(f"no dead letter has the reason {reason!r}; {known}.", Exit.FAILURE)


def _sentences(done: Redriven, *, dry_run: bool) -> str:
    lines = [f"{done.sent:,} events {'would be' if dry_run else 'were'} sent again."]
    if dry_run:
        lines += [f"  {place}" for place in done.places[:_PLACES_SHOWN]]
        lines += [f"  and {done.sent - _PLACES_SHOWN:,} more"] if done.sent > _PLACES_SHOWN else []
    if done.already:
        lines.append(f"{done.already:,} had been sent again before.")
    if done.not_whole:
        lines.append(f"{done.not_whole:,} cannot be: they were too large to be kept whole, or had expired unread.")
    if done.others:
        lines.append(f"{done.others:,} are not events, but feedback or features.")
    return "\n".join(lines)


def _bus(pipeline: str, bootstrap: str | None, namespace: str) -> Bus:
    connection = connect(bootstrap, namespace)
    published(connection.bus(), pipeline)  # a misspelt name would have no dead letters
    return connection.bus(pipeline)


def _at(bus: Bus, text: str) -> DeadRecord:
    partition, _, offset = text.partition("/")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise CommandError(f"{text!r} is not a place; write partition/offset, such as 3/120.", Exit.USAGE)
    place = Place(dead_letters.ROLE, int(partition))
    span = bus.spans(place.role).get(place.partition)
    if span is not None and span.low <= int(offset) < span.end:
        for record in dead_records(bus, Wanted(), {place: int(offset)}):
            if record.offset == int(offset):
                return record
            break
    raise CommandError(f"there is no dead letter at {text}; `freshet dead-letters list` shows places.", Exit.FAILURE)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
