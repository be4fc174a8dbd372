"""`freshet apply`: a folder becomes a pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Bootstrap, Json, Namespace, connect, emit, reporting
from freshet.cli.topics import Adopt, Replication
from freshet.operate.folder_apply import apply_folder
from freshet.operate.operate_error import OperateError
from freshet.pipeline import load_checked
from freshet.runtime.bus.kafka.admin import BROKER_DEFAULT


@reporting
def apply(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Holds pipeline.yaml and event.avsc.", show_default=False)
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", metavar="FOLDER", help="The same, as an option.")] = None,
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
    if (folder is None) == (file is None):
        raise OperateError("name the pipeline's folder, once: freshet apply FOLDER.", "usage")
    checked = load_checked(folder or file or Path())
    published = apply_folder(connect(bootstrap, namespace), checked, replication_factor, adopt=adopt)
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
