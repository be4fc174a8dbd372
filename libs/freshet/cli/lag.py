"""`freshet lag`: how far the services of a pipeline are behind, in records and seconds."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from freshet.cli.output import PIPELINE, Bootstrap, Json, Namespace, connect, emit, reporting, table, wide_console
from freshet.operate.checkup import hanging_line
from freshet.operate.facts import published
from freshet.operate.lag.lag_reader import LagReader
from freshet.operate.lag.lag_rows import End, HopLag, Lag, PathLag
from freshet.operate.operate_error import OperateError

_AGAIN_S: Final = 2.0
_PATHS: Final[dict[End, str]] = {"prediction": "event → prediction", "outcome": "event and label → outcome"}


@reporting
def show(
    pipeline: Annotated[str, typer.Option(help="Whose topics."), PIPELINE],
    partitions: Annotated[bool, typer.Option("--partitions", help="Also each partition that is behind.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, until Ctrl-C.")] = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Show how far each service is behind: unread records, and how long the oldest of them has waited.

    It asks Kafka and no service, so a dead service does not look well. Transaction markers and what an open
    transaction hides are not counted: nobody can read them. A transaction that has been open for too long is named.
    --json tells of every partition.
    """
    if watch and as_json:
        raise OperateError("--watch and --json: a document has an end. Leave one of them out.", "usage")
    connection = connect(bootstrap, namespace)
    published(connection, pipeline)  # a misspelt name would have no lag
    with LagReader(connection, pipeline) as reader:
        if watch:
            _watch(reader, partitions)
            return
        found = reader.read()
    emit(document(found), shown(found, partitions=partitions), as_json=as_json)


def document(found: Lag) -> dict[str, Any]:
    """The whole of it for a program."""
    stuck = [asdict(one) | {"told": hanging_line(one, found.at_ms).seen} for one in found.stuck]
    return asdict(found) | {"stuck": stuck, "paths": [_path_document(path) for path in found.paths]}


def shown(found: Lag, *, partitions: bool = False) -> RenderableType:
    """Paths, hops and stuck transactions for a person; with `partitions` also those that are behind."""
    parts: list[RenderableType] = [_paths(found), "", _hops(found)]
    if partitions:
        parts += ["", _behind(found)]
    for one in found.stuck:
        line = hanging_line(one, found.at_ms)
        parts += ["", f"stuck: {line.about} {line.seen}. To do: {line.do}"]
    return Group(*parts)


def _watch(reader: LagReader, partitions: bool) -> None:
    with Live(console=wide_console(), auto_refresh=False, vertical_overflow="visible") as live:
        try:
            while True:
                live.update(shown(reader.read(), partitions=partitions), refresh=True)
                time.sleep(_AGAIN_S)
        except KeyboardInterrupt:
            return


def _path_document(path: PathLag) -> dict[str, Any]:
    at = path.waits_at
    return asdict(path) | {"waits_at": None if at is None else {"service": at.service, "role": at.role}}


def _paths(found: Lag) -> RenderableType:
    rows = table("path", "under way", "oldest", "waits for")
    for path in found.paths:
        waits = "" if path.waits_at is None else f"{path.waits_at.service} to read {path.waits_at.role}"
        rows.add_row(_PATHS[path.end], f"{path.records:,}", _age(path.seconds, path.records), waits)
    return rows


def _hops(found: Lag) -> RenderableType:
    rows = table("service", "reads", "behind", "oldest", "partitions", "")
    for hop in found.hops:
        behind = f"{hop.behind} of {hop.partitions}" if hop.behind else ""
        records = f"{'' if hop.exact else 'at most '}{hop.records:,}"
        rows.add_row(hop.service, hop.role, records, _age(hop.seconds, hop.records), behind, ", ".join(_remarks(hop)))
    return rows


def _behind(found: Lag) -> RenderableType:
    rows = table("service", "partition", "behind", "oldest", "next offset", "position")
    for one in found.partitions:
        if one.records:
            position = "never read" if one.position is None else str(one.position)
            place = f"{one.topic}/{one.partition}"
            rows.add_row(one.service, place, f"{one.records:,}", _age(one.seconds, 1), str(one.next_offset), position)
    return rows


def _remarks(hop: HopLag) -> Iterator[str]:
    if not hop.started:
        yield "never read by anybody"
    if hop.hidden:
        yield f"{hop.hidden:,} offsets behind an open transaction"


def _age(seconds: float, records: int) -> str:
    return f"{seconds:,.1f} s" if records else ""
