"""`freshet topic export`: a range of a topic as a Parquet file."""

import time
from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import PIPELINE, Bootstrap, Force, Json, Namespace, connect, emit, reporting, say
from freshet.operate.facts import published
from freshet.operate.operate_error import OperateError


@reporting
def export(
    pipeline: Annotated[str, typer.Option(help="Whose topic."), PIPELINE],
    role: Annotated[
        str, typer.Option(help="features, predictions, labels, feedback, outcomes (the labelled log) or dead-letters.")
    ],
    parquet: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TIME|OFFSETS",
            help="2026-05-01T12:00Z, 2h (ago), one offset for all partitions (0), or one for each (0:120,1:98).",
        ),
    ] = "",
    end: Annotated[
        str, typer.Option("--to", metavar="TIME|OFFSETS", help="The same; the end itself is not meant.")
    ] = "",
    specification: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Whose features are columns; by default the newest.")
    ] = None,
    force: Force = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Write a range of a topic to a Parquet file: typed columns, each feature and each class's score one of its own.

    Without a range, all that can be read now: what committed transactions have written. The digest is of what the rows
    say. It is printed, and stands in the file's metadata with the range as offsets: who exports these offsets again
    gets the same digest, and the same file. The file appears when it is whole; one that is there is kept, unless
    --force is given.
    """
    from freshet.operate.export.topic_export import export as write  # noqa: PLC0415 (needs pyarrow)
    from freshet.operate.export.topic_range import topic_range  # noqa: PLC0415
    from freshet.operate.export.topic_tables import ROLES  # noqa: PLC0415

    if role not in ROLES:
        raise OperateError(f"--role is one of {', '.join(ROLES)}, not {role!r}.", "usage")
    if parquet.exists() and not force:
        raise OperateError(f"{parquet} exists already. Name another file, or write over it with --force.", "conflict")
    connection = connect(bootstrap, namespace)
    found = published(connection, pipeline, specification)
    bus = connection.bus(pipeline)
    wanted = topic_range(bus, role, start, end, time.time_ns() // 1_000_000)
    number = found.record.number
    done = write(bus, found.spec, number, wanted, parquet)
    document = {
        "file": str(parquet),
        "rows": done.rows,
        "left_out": done.left_out,
        "digest": done.digest,
        "from": wanted.first_text,
        "to": wanted.end_text,
        "specification": number,
    }
    again = f"--role {role} --from {wanted.first_text} --to {wanted.end_text} --specification {number}"
    emit(
        document,
        f"wrote {done.rows:,} rows to {parquet}\ndigest {done.digest}\nthe same again: {again}",
        as_json=as_json,
    )
    if done.left_out:
        say(f"{done.left_out:,} records are left out: strangers', or notes that events were sent again.")
