"""`freshet dead-letters`: events that were set aside."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Group

from freshet.cli.output import PIPELINE, Bootstrap, Json, Namespace, connect, emit, reporting, say, shown_text, table
from freshet.operate.connection import Connection
from freshet.operate.facts import published
from freshet.operate.records import hexdump
from freshet.operate.redrive import Group as Letters
from freshet.operate.redrive import Redriven, Wanted, check_reason, dead_records, groups, letter_at
from freshet.operate.redrive import redrive as send_again
from freshet.operate.times import ago, clock_time, moment_ms
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.clock import SystemClock

app = typer.Typer(help="Events that were set aside: look at them, send them again.", no_args_is_help=True)

Pipeline = Annotated[str, typer.Option(help="Whose dead letters."), PIPELINE]
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
    """Count dead letters by reason, with the newest one's sentence and place.

    With --reason, those of that reason by the kind of their sentence: numbers and values in it do not count.
    """
    now_ms = SystemClock().now_ms()
    wanted = Wanted(reason, moment_ms(since, now_ms))
    found = groups(dead_records(_bus(pipeline, bootstrap, namespace), wanted), by_sentence=bool(reason))
    document = [
        {
            "reason": group.reason,
            "count": group.count,
            "first_ms": group.first_ms,
            "last_ms": group.last_ms,
            "example": group.example,
            "place": group.place,
            "kinds": len(group.kinds),
        }
        for group in found
    ]
    shown = table("reason", "count", "newest", "place", "its sentence")
    for group in found:
        shown.add_row(group.reason, f"{group.count:,}", ago(group.last_ms, now_ms), group.place, group.example)
    if not found:
        emit(document, f"No dead letters{f' for {reason!r}' if reason else ''}.", as_json=as_json)
        return
    emit(document, Group(shown, *_others(found, pipeline)), as_json=as_json)


def _others(found: Sequence[Letters], pipeline: str) -> list[str]:
    """How to see the sentences that the newest one hides."""
    return [
        f"{group.reason} has {len(group.kinds)} kinds of sentence; all of them: `freshet dead-letters list --pipeline "
        f"{pipeline} --reason {group.reason}`"
        for group in found
        if len(group.kinds) > 1
    ]


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
    connection = _connection(pipeline, bootstrap, namespace)
    record = letter_at(connection.bus(pipeline), place)
    (value,) = connection.readable(pipeline).values(record.role or "events", [record.value])
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
    wanted = Wanted(reason, moment_ms(since, SystemClock().now_ms()))
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
    return _connection(pipeline, bootstrap, namespace).bus(pipeline)


def _connection(pipeline: str, bootstrap: str | None, namespace: str) -> Connection:
    connection = connect(bootstrap, namespace)
    published(connection, pipeline)  # a misspelt name would have no dead letters
    return connection
