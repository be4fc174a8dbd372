"""`freshet replay`: the rows of a CSV file as live events, some of them spoiled, and their labels later."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from freshet.cli.output import PIPELINE, Bootstrap, Json, Namespace, connect, emit, reporting, say
from freshet.cli.table_options import Decimal, Delimiter, Encoding
from freshet.lab.corruption import KINDS
from freshet.lab.events_topic import DELETED, EventsTopic, rest_of
from freshet.lab.load import Load, Sent
from freshet.operate.facts import published
from freshet.operate.operate_error import OperateError
from freshet.operate.presence import absence, presence
from freshet.operate.records import readable
from freshet.operate.roll_call import roll_call
from freshet.operate.tables.events import Events, after, first
from freshet.operate.tables.made_up import ENTITIES
from freshet.operate.tables.resume import Already
from freshet.operate.tables.survey import Survey
from freshet.operate.tables.table import Dialect
from freshet.operate.tables.table_events import CsvEvents
from freshet.runtime.bus.protocol import Bus, RetriableError, TopicGoneError
from freshet.runtime.clock import SystemClock

_INTERRUPTED: Final = 130
_LAST_LABELS_S: Final = 5.0


@reporting
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv[.gz]", help="Its first line names the columns.")],
    pipeline: Annotated[str, typer.Option(help="Columns go to this pipeline's event fields by name."), PIPELINE],
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Events per second; as fast as possible by default.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Stop after so many; all by default.")] = None,
    corrupt: Annotated[str, typer.Option(metavar="5%", help="Spoil this share of the events.")] = "0%",
    corrupt_kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help=f"Spoil in these ways only; of {', '.join(KINDS)}.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column with the truth, sent as feedback.")
    ] = None,
    skip: Annotated[int, typer.Option(min=0, help="Leave out the first so many events: an earlier try sent them.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out the events, by id, that are on the topic: a try was killed.")
    ] = False,
    labels_after: Annotated[int, typer.Option(min=0, help="Send a label after so many more events.")] = 0,
    entities: Annotated[int, typer.Option(min=1, help="Different entities, where the file has none.")] = ENTITIES,
    seed: Annotated[int, typer.Option(help="Spoils the same events in the same way.")] = 0,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Publish each row as an event; where the file has no event id, entity or event time, they are filled in."""
    share = _share(corrupt)
    if skip and resume:
        raise OperateError("--skip and --resume both say where to go on: give one of them.", "usage")
    connection = connect(bootstrap, namespace)
    found = published(connection, pipeline)
    source = CsvEvents(
        file, found.spec, found.schema, label=label, entities=entities, dialect=Dialect(delimiter, encoding, decimal)
    )
    if source.unused:
        say(f"columns that no event field is named after: {', '.join(source.unused)}")
    for line in (*source.table.told, *source.absent, *source.made_up, *source.survey.told):
        say(line)
    bus = connection.bus(pipeline)
    producer, topic = bus.producer(), EventsTopic(bus)
    try:
        load = Load(
            producer,
            found.spec,
            found.schema,
            found.record.event_schema_id,
            SystemClock(),
            rate=rate,
            corrupt_share=share,
            corrupt_kinds=corrupt_kind or None,
            labels_after=None if label is None else labels_after,
            seed=seed,
        )
        if share and "unknown_schema" in load.corrupt_kinds:
            say("events with an unknown schema id hold their partition for a minute: `freshet apply` may be on its way")
        events = rest_of(load, source, Already(bus, found.spec, readable(bus)), say) if resume else after(source, skip)
        sent, interrupted = _publish(load, first(events, rows), rows, None if resume else skip, topic)
    finally:
        producer.close()
    emit(_document(sent, source.survey), _sentence(sent), as_json=as_json)
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    _tell_if_unread(bus, pipeline)


def _tell_if_unread(bus: Bus, pipeline: str) -> None:
    """Say that nobody is there to read the events. A Kafka that is silent now, or Ctrl-C, ends only this."""
    with suppress(RetriableError, KeyboardInterrupt):
        called = roll_call(bus, say=say)
        if missing := absence(presence(called.ledger, "ingestion", pipeline, called.now_ms)):
            say(f"Nobody reads these events now; they wait on the topic. {missing}")


def _publish(
    load: Load, source: Iterator[Events], rows: int | None, skip: int | None, topic: EventsTopic
) -> tuple[Sent, bool]:
    """Send everything with a bar on stderr; whether Ctrl-C ended it early."""
    sent = Sent()
    columns = (TextColumn("events"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]:,.0f}/s"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("events", total=rows, rate=0.0)
        try:
            for sent in load.publish(source):
                bar.update(task, completed=sent.events, rate=sent.per_s)
                topic.check()
        except KeyboardInterrupt:
            _send_last_labels(load, sent)
            say(f"interrupted. {_go_on(skip, sent, load.unlabelled)}")
            return sent, True
        except TopicGoneError as error:
            raise OperateError(DELETED) from error
        except OperateError:
            raise
        except BaseException:
            say(f"{sent.events:,} events were sent before this. {_go_on(skip, sent, load.unlabelled)}")
            raise
    return sent, False


def _send_last_labels(load: Load, sent: Sent) -> None:
    """For a few seconds, and not after a second Ctrl-C: those that are missing then are counted."""
    if load.unlabelled and not sent.unacknowledged:
        say(f"sending the last {load.unlabelled:,} labels; Ctrl-C leaves them out …")
        with suppress(KeyboardInterrupt, RetriableError):
            load.send_last_labels(sent, _LAST_LABELS_S)


def _go_on(skip: int | None, sent: Sent, unlabelled: int) -> str:
    """Where to go on. A number says that only if all that was sent is counted, and no labels of it are missing."""
    why = ""
    if sent.unacknowledged:
        why = "Kafka did not acknowledge the last events or labels: they may have arrived. "
    if unlabelled:
        why += f"{unlabelled:,} labels are missing, and `--resume` sends them, too. "
    if skip is None or why:
        return f"{why}Go on where this ended with --resume."
    return f"Go on where this ended with --skip {skip + sent.events}."


def _share(text: str) -> float:
    number = text.removesuffix("%")
    try:
        share = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise OperateError(f"--corrupt {text!r} is not a share; write 5% or 0.05.", "usage")
    return share


def _document(sent: Sent, survey: Survey) -> dict[str, Any]:
    return {
        "left_out": survey.left_out,
        "unlabelled": survey.unlabelled,
        "events": sent.events,
        "corrupted": dict(sorted(sent.corrupted.items())),
        "labels": sent.labels,
        "events_per_s": round(sent.per_s, 1),
    }


def _sentence(sent: Sent) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(sent.corrupted.items()))
    spoiled = f", {sum(sent.corrupted.values())} of them spoiled ({kinds})" if kinds else ""
    return f"{sent.events:,} events sent{spoiled}; {sent.labels:,} labels; {sent.per_s:,.0f} events/s."
