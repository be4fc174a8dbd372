"""`freshet schemas`: published on a topic, and served from there."""

from collections.abc import Sequence
from typing import Annotated

import typer

from freshet.avro.schema_records import SchemaRecord
from freshet.cli.output import Bootstrap, Exit, Json, Namespace, connect, emit, reporting, say, table
from freshet.operate.registration import Registered, register, registry_at
from freshet.operate.schema_server import SchemaServer
from freshet.runtime.publishing import publish_schemas, published_schemas

app = typer.Typer(help="Avro schemas: what services agree on.", no_args_is_help=True)


@app.command()
@reporting
def publish(
    registry: Annotated[
        str, typer.Option(metavar="URL", help="Also register them in a schema registry of yours, as TOPIC-value.")
    ] = "",
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Publish released schemas, and those of applied pipelines' events, on the schemas topic. Idempotent.

    With --registry all of them are registered there, too, under its rules of compatibility: exit code 5 if it refuses
    one. Records keep Freshet's ids, so deserializers still ask `freshet run subjects`, not that registry.
    """
    connection = connect(bootstrap, namespace)
    theirs = registry_at(registry, connection.known_login) if registry else None
    written = publish_schemas(connection.bus(), namespace)
    if theirs is None:
        _show_written(written, as_json=as_json)
    else:
        _show_registered(register(theirs, published_schemas(connection.bus()).values()), as_json=as_json)


def _show_written(written: Sequence[SchemaRecord], *, as_json: bool) -> None:
    """A row for each version that was not there before."""
    shown = table("subject", "version", "id")
    for record in written:
        shown.add_row(record.subject, str(record.version), str(record.id))
    document = [{"subject": record.subject, "version": record.version, "id": record.id} for record in written]
    emit(document, shown if written else "All schemas are published already.", as_json=as_json)


def _show_registered(done: Sequence[Registered], *, as_json: bool) -> None:
    """A row for each version. Exits with 5 if the registry refused one."""
    shown = table("subject", "version", "id on records", "id there", "what came of it")
    for one in done:
        theirs = "" if one.their_id is None else str(one.their_id)
        shown.add_row(one.record.subject, str(one.record.version), str(one.record.id), theirs, one.why or one.state)
    document = [
        {
            "subject": one.record.subject,
            "version": one.record.version,
            "id": one.record.id,
            "registry_id": one.their_id,
            "state": one.state,
            "why": one.why,
        }
        for one in done
    ]
    emit(document, shown, as_json=as_json)
    say(
        "Records carry the id of the third column; a deserializer finds it with `freshet run subjects` as its registry."
    )
    if any(one.state == "refused" for one in done):
        raise typer.Exit(Exit.CONFLICT)


@app.command()
@reporting
def serve(
    host: Annotated[str, typer.Option(help="Where to listen. Whoever reaches it can read every schema.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8081,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
) -> None:
    """Serve the schemas topic as a schema registry that is only read, for Confluent's serializers and for consoles.

    A producer that "registers" the schema that was applied gets its id; any other is refused.
    """
    connection = connect(bootstrap, namespace)
    bus = connection.bus()
    server = SchemaServer(host, port, lambda: published_schemas(bus))
    server.look()
    say(f"serving schemas at http://{host}:{server.port}; Ctrl-C ends it.")
    server.serve()
