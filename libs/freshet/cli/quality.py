"""`freshet quality`: how good the answers are, as evaluations tell it, in the terminal or as a page."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

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
    wide_console,
    write_file,
)
from freshet.operate.facts import drained, ledger_of, published
from freshet.operate.operate_error import OperateError
from freshet.operate.presence import absence, presence
from freshet.operate.profile_log import frames
from freshet.operate.quality.chart import lines
from freshet.operate.quality.estimated import Estimate, calibrations, estimates, estimates_document
from freshet.operate.quality.page import page
from freshet.operate.quality.quality_tables import class_rows, class_titles, rows, titles
from freshet.operate.quality.series_quality import Evaluations, Quality, View, document, quality
from freshet.operate.roll_call import roll_call
from freshet.operate.times import clock_time, moment_ms
from freshet.profiles.frame_records import PlacedFrame
from freshet.quality.arrival import EVERY_ROWS
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.clock import SystemClock
from freshet.runtime.feed import Feed

_CHART_COLUMNS: Final = 72
_MOST_CLASSES: Final = 12
_LEDGER: Final = ("models", "rollouts", "cutovers")
_AGAIN_S: Final = 2.0


class _Shown(NamedTuple):
    """What there is to show at one moment."""

    found: Quality
    guessed: list[Estimate]


@reporting
def show(
    pipeline: Annotated[str, typer.Option(help="Whose answers."), PIPELINE],
    series: Annotated[
        list[str] | None,
        typer.Option(help="Only this series, such as served or version:1.0.1; may be given several times."),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Only predictions since then, about: 2026-05-01T12:00Z, or 2h.")
    ] = "",
    view: Annotated[
        str, typer.Option(help="arrival: rows as labels came. closed: only ranges of prediction time that are done.")
    ] = "arrival",
    watch: Annotated[bool, typer.Option("--watch", help="Go on, until Ctrl-C.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one page with plots, too.")] = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Show how good the answers are: what was served, each version and slice, and two baselines that need no model.

    It reads `freshet.evaluations`, which `freshet run drift` keeps writing as labels come, and so costs little however
    much there is. `freshet score` compares the predictions and labels that the topics still hold, once, and needs no
    service. Exits with 4 if there is nothing to show.
    """
    if view not in {"arrival", "closed"}:
        raise OperateError(f"--view {view}: there are arrival and closed.", "usage")
    if watch and as_json:
        raise OperateError("--watch and --json: a document has an end. Leave one of them out.", "usage")
    since_ms = moment_ms(since, SystemClock().now_ms()) or None
    connection = connect(bootstrap, namespace)
    published(connection, pipeline)  # a misspelt name would have no quality
    bus = connection.bus()
    evaluations, feed = Evaluations(pipeline), Feed(bus.reader(["evaluations"]))
    profiles, log = connection.bus(pipeline), list[PlacedFrame]()

    def now() -> _Shown:
        chosen: View = "closed" if view == "closed" else "arrival"
        ledger = ledger_of(bus, *_LEDGER).of(pipeline)
        found = quality(evaluations.records, ledger, view=chosen, names=series or (), since_ms=since_ms)
        log.extend(frames(profiles, pipeline, log[-1].offset + 1 if log else 0))
        guessed = estimates(log, calibrations(evaluations.records), since_ms or 0)
        if html is not None and found.series:
            made = f"{clock_time(SystemClock().now_ms())} UTC"
            write_file(html, page(found, made, guessed, "since then" if since_ms else "of all time that is kept"))
        return _Shown(found, guessed)

    try:
        evaluations.take(drained(feed))
        found, guessed = now()
        if watch:
            _watch(feed, evaluations, now)
            return
    finally:
        feed.close()
    nothing = "" if found.series else why_nothing(bus, pipeline, evaluations)
    told = document(found) | estimates_document(guessed) | ({"why_nothing": nothing} if nothing else {})
    beside = estimate_parts([("", guessed)])
    emit(told, Group(nothing or shown(found), *([""] if beside else []), *beside), as_json=as_json)
    if nothing:
        raise typer.Exit(Exit.CHECK)
    if html is not None:
        say(f"wrote {html}")


def shown(found: Quality) -> RenderableType:
    """Tables, and the chart over time."""
    parts: list[RenderableType] = [filled_table(titles(found), rows(found)), ""]
    by_class = class_rows(found)
    if by_class and len(by_class) <= _MOST_CLASSES:
        parts += [filled_table(class_titles(), by_class), ""]
    return Group(*parts, *map(Text, lines(found, _CHART_COLUMNS)))


def why_nothing(bus: Bus, pipeline: str, evaluations: Evaluations) -> str:
    """A sentence for who sees nothing: what there is instead, who is missing, or what has to come."""
    if evaluations.records:
        there = sorted({one.series for one in evaluations.records})
        return f"Nothing of that is there. There are evaluations of {', '.join(there)}: choose others, or another time."
    called = roll_call(bus, say=say)
    missing = absence(presence(called.ledger, "drift-evaluate", pipeline, called.now_ms))
    if missing:
        return f"There is no evaluation of {pipeline!r} yet. {missing}"
    return (
        f"There is no evaluation of {pipeline!r} yet: the first one comes after {EVERY_ROWS} labels of events that "
        "were answered. Send labels to the feedback topic."
    )


def _watch(feed: Feed, evaluations: Evaluations, now: "Callable[[], _Shown]") -> None:
    """Until Ctrl-C."""
    with suppress(KeyboardInterrupt), Live(console=wide_console(), auto_refresh=False) as live:
        while True:
            found, guessed = now()
            told = shown(found) if found.series else "There is no evaluation yet."
            live.update(Group(told, *estimate_parts([("", guessed)])), refresh=True)
            evaluations.take(feed.facts(_AGAIN_S))
