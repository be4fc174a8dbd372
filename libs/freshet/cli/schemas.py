"""`freshet schemas`: published on a topic, and served from there."""

from typing import Annotated

import typer

from freshet.cli.output import Bootstrap, Json, Namespace, connect, emit, reporting, say, table
from freshet.operate.schema_server import SchemaServer
from freshet.runtime.publishing import publish_schemas, published_schemas

app = typer.Typer(help="Avro schemas: what services agree on.", no_args_is_help=True)


@app.command()
@reporting
def publish(bootstrap: Bootstrap = None, namespace: Namespace = "", as_json: Json = False) -> None:
    """Publish released schemas, and those of applied pipelines' events, on the schemas topic. Idempotent."""
    connection = connect(bootstrap, namespace)
    written = publish_schemas(connection.bus(), namespace)
    shown = table("subject", "version", "id")
    for record in written:
        shown.add_row(record.subject, str(record.version), str(record.id))
    document = [{"subject": record.subject, "version": record.version, "id": record.id} for record in written]
    emit(document, shown if written else "All schemas are published already.", as_json=as_json)


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
    say(f"serving schemas at http://{host}:{server.port}; Ctrl-C ends it.")
    server.serve()
