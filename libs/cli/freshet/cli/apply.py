"""`freshet apply`: a folder becomes a pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Bootstrap, Json, Namespace, connect, emit, reporting, say
from freshet.cli.topics import Adopt, Replication
from freshet.contracts.pipeline import load_checked
from freshet.runtime.kafka.admin import BROKER_DEFAULT
from freshet.runtime.provision import provision
from freshet.runtime.publishing import publish_pipeline, review_pipeline


@reporting
def apply(
    folder: Annotated[Path, typer.Option("--file", "-f", metavar="FOLDER", help="Holds pipeline.yaml and event.avsc.")],
    replication_factor: Replication = BROKER_DEFAULT,
    adopt: Adopt = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Publish a pipeline: check it, create its topics, and make its specification the newest. Idempotent.

    Exits with 4 if the folder has problems, with 5 if the published pipeline must not be replaced by this one, or if a
    topic is in the way.
    """
    spec, text, event_schema = load_checked(folder)
    connection = connect(bootstrap, namespace)
    bus = connection.bus(spec.pipeline)
    review_pipeline(bus, namespace, spec, text, event_schema)  # refuses before any topic is made
    provision(
        connection.admin,
        namespace,
        [(spec.pipeline, spec.partitions)],
        replication_factor=replication_factor,
        adopt=adopt,
        say=say,
    )
    published = publish_pipeline(bus, namespace, spec, text, event_schema)
    record = published.record
    emit(
        {
            "pipeline": record.pipeline,
            "number": record.number,
            "changed": published.changed,
            "event_schema_id": record.event_schema_id,
            "schemas_published": len(published.schemas),
        },
        f"{record.pipeline} is {'now' if published.changed else 'unchanged at'} number {record.number}; "
        f"its events are framed with schema id {record.event_schema_id}.",
        as_json=as_json,
    )
