"""`freshet profile`: what features and answers look like, and what has changed, in the terminal or as a page."""

import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from freshet.avro.control import encode
from freshet.cli.estimate_parts import estimate_parts
from freshet.cli.output import (
    PIPELINE,
    Bootstrap,
    Exit,
    Json,
    Namespace,
    connect,
    emit,
    filled_table,
    reporting,
    say,
    write_file,
)
from freshet.contracts.profile_messages import FrameKind
from freshet.operate.facts import published, read
from freshet.operate.operate_error import OperateError
from freshet.operate.profile.edges_change import EDGES, FEWEST, edges_from_newest, edges_rows
from freshet.operate.profile.profile_page import compared_page, shown_page
from freshet.operate.profile.profile_tables import COMPARED, SHOWN, compared_rows, shown_rows, unusual_rows_of
from freshet.operate.profile.profile_view import ColumnChange, Stretch, compared, document, overlap, stretch
from freshet.operate.profile_log import facts_of, frames
from freshet.operate.quality.estimated import calibrations, estimates, estimates_document
from freshet.operate.quality.series_quality import Evaluations
from freshet.operate.times import clock_time, moment_ms
from freshet.profiles.frame_records import PlacedFrame
from freshet.quality.calibration import Calibration
from freshet.runtime.bus.protocol import Bus, Send
from freshet.runtime.clock import SystemClock

app = typer.Typer(help="What features and answers look like, and what has changed.", no_args_is_help=True)

_KINDS: Final[tuple[FrameKind, ...]] = ("features", "answers")
_FOR_EVER_MS: Final = 1 << 62
_LAST: Final = 1000
_LATER: Final = (
    "a comparison begins anew there. Give --from a moment that lies later; `freshet profile edges` shows them."
)

Pipeline = Annotated[str, typer.Option(help="Whose features and answers."), PIPELINE]
From = Annotated[str, typer.Option("--from", metavar="TIME", help="Rows from then on: 2026-05-01T12:00Z, or 2h.")]
To = Annotated[str, typer.Option("--to", metavar="TIME", help="Rows before then.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write one page with plots, too.")]


@app.command()
@reporting
def show(
    pipeline: Pipeline,
    since: From = "",
    until: To = "",
    html: Html = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Show the distribution of each column, and the rows that lie farthest out.

    It reads `{p}.profiles`, which `freshet run drift` writes, and no feature; and of answers with a confidence it
    estimates how good they are without labels. Exits with 4 if there is nothing to show.
    """
    log, bus = _read(pipeline, bootstrap, namespace)
    from_ms, to_ms = _range(since, until)
    found = [(kind, one) for kind in _KINDS if (one := stretch(log, kind, from_ms, to_ms)) is not None]
    _end_if_nothing(found, as_json=as_json)
    parts: list[RenderableType] = []
    for kind, one in found:
        parts += [f"{kind}: {one.told}", filled_table(SHOWN, shown_rows(one)), ""]
        if one.unusual:
            parts += [filled_table(("row", "distance", "feature"), unusual_rows_of(one)), ""]
    guessed = estimates(log, _calibrations(bus, pipeline), from_ms, to_ms)
    told = {kind: document(one) for kind, one in found} | estimates_document(guessed)
    emit(told, Group(*parts, *estimate_parts([("", guessed)])), as_json=as_json)
    _write(html, shown_page(pipeline, found, _now(), guessed))


@app.command()
@reporting
def compare(
    pipeline: Pipeline,
    since: From = "",
    until: To = "",
    html: Html = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Compare a range with all that came before it; without --from, about the last thousand rows of each kind.

    The index is the population stability index, and how far a column has moved is told in standard deviations.
    Exits with 4 if there is nothing to compare.
    """
    log, bus = _read(pipeline, bootstrap, namespace)
    between = facts_of(bus, pipeline).edges
    found: list[tuple[str, Stretch, Stretch, list[ColumnChange]]] = []
    asked_ms, to_ms = _range(since, until)
    for kind in _KINDS:
        from_ms = asked_ms or _last_rows_ms(log, kind, to_ms)
        before, now = stretch(log, kind, 0, from_ms), stretch(log, kind, from_ms, to_ms)
        if before is not None and now is not None and (changes := compared(before, now, between)):
            found.append((kind, before, now, changes))
        elif before is not None and now is not None:
            say(f"{kind}: the columns, or the edges between which they are counted, changed in between: {_LATER}")
    _end_if_nothing(found, as_json=as_json)
    parts: list[RenderableType] = []
    for name, before, now, changes in found:
        parts += [f"{name}, before: {before.told}", f"{name}, now: {now.told}"]
        parts += [why] if (why := overlap(before, now)) else []
        parts += [filled_table(COMPARED, compared_rows(changes)), ""]
    known, from_ms = _calibrations(bus, pipeline), asked_ms or _last_rows_ms(log, "answers", to_ms)
    old, new = estimates(log, known, until_ms=from_ms), estimates(log, known, from_ms, to_ms)
    told = {name: _changes(changes) for name, _, _, changes in found}
    guessed = {"estimated_before": estimates_document(old)["estimated"], **estimates_document(new)}
    by_time = [("before", old), ("now", new)]
    emit(told | guessed, Group(*parts, *estimate_parts(by_time)), as_json=as_json)
    _write(html, compared_page(pipeline, found, _now(), by_time))


@app.command()
@reporting
def edges(
    pipeline: Pipeline,
    choose: Annotated[bool, typer.Option("--choose", help="Choose others from the newest rows.")] = False,
    kind: Annotated[str, typer.Option(help="With --choose: features, or answers of a regression.")] = "features",
    rows: Annotated[int, typer.Option(min=FEWEST, help="With --choose: from so many rows.")] = 10_000,
    partition: Annotated[int | None, typer.Option(min=0, help="With --choose: of this one, not the longest.")] = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Show between which values rows are counted; with --choose change that.

    Others are recorded on `freshet.edges` before they are used, and hold for frames that close from then on. Bins
    between other edges cannot be added up, so detectors learn anew, and `compare` compares on one side of the change.
    """
    connection = connect(bootstrap, namespace)
    spec, bus = published(connection, pipeline).spec, connection.bus(pipeline)
    if choose:
        key, record = edges_from_newest(bus, spec, _kind(kind), rows=rows, partition=partition)
        with closing(bus.producer()) as producer:
            producer.send(Send("edges", [key.encode()], [encode(record)]))
        say(f"edges {record.id} are recorded: frames that close from now on are counted between them.")
    book = facts_of(bus, pipeline).book
    shown = edges_rows(book)
    told = [dict(zip(EDGES, row, strict=True)) for row in shown]
    emit(told, filled_table(EDGES, shown) if shown else "No edges were chosen yet.", as_json=as_json)


def _kind(text: str) -> FrameKind:
    if text not in _KINDS:
        raise OperateError(f"--kind {text}: there are {' and '.join(_KINDS)}.", "usage")
    return _KINDS[_KINDS.index(text)]


def _read(pipeline: str, bootstrap: str | None, namespace: str) -> tuple[list[PlacedFrame], Bus]:
    connection = connect(bootstrap, namespace)
    published(connection, pipeline)  # a misspelt name would have no profile
    bus = connection.bus(pipeline)
    return list(frames(bus, pipeline)), bus


def _calibrations(bus: Bus, pipeline: str) -> dict[str, Calibration]:
    """What labels said of answers by their confidence, by version."""
    evaluations = Evaluations(pipeline)
    evaluations.take(read(bus, "evaluations"))
    return calibrations(evaluations.records)


def _range(since: str, until: str) -> tuple[int, int]:
    now_ms = SystemClock().now_ms()
    return moment_ms(since, now_ms, "--from"), moment_ms(until, now_ms, "--to") or _FOR_EVER_MS


def _last_rows_ms(log: Sequence[PlacedFrame], kind: FrameKind, to_ms: int) -> int:
    """Where the last rows begin that are enough to compare."""
    rows, found_ms = 0, 0
    for one in reversed(log):
        if one.frame.kind == kind and one.frame.first_ms < to_ms and rows < _LAST:
            rows, found_ms = rows + one.frame.rows, one.frame.first_ms
    return found_ms


def _changes(changes: Sequence[ColumnChange]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "index": one.index,
            "moved": None if math.isnan(one.moved) else one.moved,
            "mean": one.mean,
            "missing": one.missing,
            "shares": one.shares,
        }
        for one in changes
    ]


def _end_if_nothing(found: Sequence[object], *, as_json: bool) -> None:
    if found:
        return
    why = (
        "There are no frames of that time. `freshet run drift-profile` writes one after about a thousand rows of a "
        "partition, or with the first row of another hour; a comparison needs some before and some in the range."
    )
    emit({"why_nothing": why}, why, as_json=as_json)
    raise typer.Exit(Exit.CHECK)


def _write(html: Path | None, page: str) -> None:
    if html is not None:
        write_file(html, page)
        say(f"wrote {html}")


def _now() -> str:
    return f"{clock_time(SystemClock().now_ms())} UTC"
