"""`freshet topic tail`: the records of a topic, decoded."""

import json
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Annotated, Any, Final, Literal

import typer

from freshet.cli.output import Bootstrap, CommandError, Exit, Namespace, connect, reporting, shown_text
from freshet.cli.records import Readable, readable
from freshet.cli.times import clock_time
from freshet.contracts.topics import topic_table
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

app = typer.Typer(help="Look at the records of a topic.", no_args_is_help=True, add_completion=False)

_READ_ROWS: Final = 500


@app.callback()
def group() -> None:
    """Look at the records of a topic."""


@app.command()
@reporting
def tail(
    topic: Annotated[
        str, typer.Argument(help="A role of schemas/topics.yaml, such as predictions, or a topic's full name.")
    ],
    pipeline: Annotated[str, typer.Option(help="Whose topic, where every pipeline has its own.")] = "",
    start: Annotated[
        Literal["beginning", "end"], typer.Option("--from", help="The first records, or the last.")
    ] = "end",
    count: Annotated[
        int | None, typer.Option("-n", min=1, help="How many; 10 by default, all with --from beginning.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Print records as a read_committed reader sees them: place, time, key, value and headers, one line each."""
    connection = connect(bootstrap, namespace)
    role, owner = resolve(topic, pipeline, namespace)
    tail_of = Tail(connection.bus(owner), role, readable(connection.bus()))
    rows = tail_of.last(count or 10) if start == "end" else islice(tail_of.rows(), count)
    for row in chain(rows, tail_of.coming() if follow else ()):
        typer.echo(shown_text(json.dumps(row, ensure_ascii=False)) if as_json else line(row))


def resolve(topic: str, pipeline: str, namespace: str) -> tuple[str, str]:
    """Role and pipeline of what somebody called a topic; CommandError lists the roles."""
    plain = topic.removeprefix(namespace)
    for role, stanza in topic_table().items():
        before, placeholder, after = stanza.name.partition("{p}")
        if topic == role:
            if placeholder and not pipeline:
                raise CommandError(f"every pipeline has its own {role}: say whose, with --pipeline.", Exit.USAGE)
            return role, pipeline
        if placeholder and plain.startswith(before) and plain.endswith(after):
            return role, plain[len(before) : len(plain) - len(after)]
        if plain == stanza.name:
            return role, pipeline
    raise CommandError(f"{topic!r} is no topic of Freshet's; roles are {', '.join(topic_table())}.", Exit.USAGE)


def line(row: Mapping[str, Any]) -> str:
    """A record for a person, whatever its producer wrote into key, headers and value."""
    headers = "".join(f" {name}={value}" for name, value in row.get("headers", {}).items())
    value = "(tombstone)" if row["value"] is None else json.dumps(row["value"], ensure_ascii=False)
    place = f"{row['partition']}/{row['offset']} {clock_time(row['timestamp_ms'])}"
    return shown_text(f"{place} {row['key']}{headers} {value}")


Row = dict[str, Any]


class Tail:
    """The records of one topic, as they stood when it was made and as they come."""

    def __init__(self, bus: Bus, role: str, readable: Readable) -> None:
        """Raises CommandError if the topic does not exist."""
        self._bus = bus
        self._role = role
        self._readable = readable
        self._spans = {Place(role, partition): span for partition, span in bus.spans(role).items()}
        if not self._spans:
            raise CommandError(
                f"the {role} topic does not exist yet. Create it with `freshet topics apply`.", Exit.FAILURE
            )

    def rows(self, starts: Mapping[Place, int] | None = None) -> Iterator[Row]:
        """All records there were, or those from these offsets on, each partition's in order."""
        for batch in everything(self._bus, self._role, starts):
            for row in self._readable.rows(batch):
                if row["offset"] < self._spans[Place(self._role, row["partition"])].end:
                    yield row

    def last(self, count: int) -> list[Row]:
        """The newest records there were, oldest first."""
        back = count
        while True:
            starts = {place: max(span.low, span.end - back) for place, span in self._spans.items()}
            found = sorted(self.rows(starts), key=lambda row: (row["timestamp_ms"], row["partition"], row["offset"]))
            if len(found) >= count or all(starts[place] == span.low for place, span in self._spans.items()):
                return found[-count:]
            back *= 8  # markers of transactions and compacted records take offsets, too

    def coming(self) -> Iterator[Row]:
        """Every record from then on; never ends."""
        reader = self._bus.reader([self._role], {place: span.end for place, span in self._spans.items()})
        try:
            while True:
                for batch in reader.read(_READ_ROWS, 1.0):
                    yield from self._readable.rows(batch)
        finally:
            reader.close()
