"""`freshet apply`: a folder becomes a pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.avro.schemas import Schema
from freshet.cli.deletion import decided
from freshet.cli.output import (
    Bootstrap,
    CommandError,
    Connection,
    Exit,
    Json,
    Namespace,
    connect,
    emit,
    reporting,
    say,
)
from freshet.cli.topics import Adopt, Replication
from freshet.pipeline import PipelineSpec, load_checked
from freshet.runtime.bus.kafka.admin import BROKER_DEFAULT
from freshet.runtime.provision import provision
from freshet.runtime.publishing import Publication, publish_pipeline, review_pipeline


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
    published = apply_folder(connect(bootstrap, namespace), load_checked(folder), replication_factor, adopt=adopt)
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


def apply_folder(
    connection: Connection,
    checked: tuple[PipelineSpec, str, Schema],
    replication_factor: int = BROKER_DEFAULT,
    *,
    adopt: bool = False,
) -> Publication:
    """Publish what `load_checked` has read of a folder, its topics first. Idempotent.

    Raises as `publish_pipeline` and `provision` do, and CommandError where a deletion was not finished: the old life's
    models would answer in the new one.
    """
    spec, text, event_schema = checked
    namespace, name = connection.namespace, spec.pipeline
    bus = connection.bus(name)
    planned = review_pipeline(bus, namespace, spec, text, event_schema)  # refuses before any topic is made
    if planned.changed and planned.record.number == 1 and decided(bus, name):
        raise CommandError(
            f"versions of an earlier pipeline {name} are still there: its deletion was interrupted. Finish it with "
            f"`freshet pipeline delete {name}`, then apply this one.",
            Exit.CONFLICT,
        )
    provision(
        connection.admin,
        namespace,
        [(name, spec.partitions)],
        replication_factor=replication_factor,
        adopt=adopt,
        say=say,
    )
    return publish_pipeline(bus, namespace, spec, text, event_schema)
