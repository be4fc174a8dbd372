"""`freshet pipeline delete`: shows what there is of a pipeline, and takes all of it away."""

from typing import Annotated

import typer

from freshet.cli.output import PIPELINE, Bootstrap, Json, Namespace, connect, emit, reporting, say
from freshet.operate.deletion import Remains, arriving, delete_pipeline, refuse_in_use, remains
from freshet.operate.operate_error import OperateError
from freshet.registry.core.stand_in import DeletionStandIn


@reporting
def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a published pipeline."), PIPELINE],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also while events still arrive.")] = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Delete a pipeline: its topics with all they hold, its groups, its specifications, versions and epochs.

    Refuses with 5 while its services run, or while somebody still sends events. What was interrupted is finished by
    running it again. Afterwards the name is free: `freshet apply` begins anew with it.
    """
    connection = connect(bootstrap, namespace)
    found = remains(connection, name)
    if not found:
        raise OperateError(f"there is nothing of a pipeline {name!r} on this Kafka. Look at the namespace.")
    refuse_in_use(name, found)
    if not force and (coming := arriving(connection, name)):
        topics = ", ".join(f"{topic} (+{count:,} in a second)" for topic, count in coming.items())
        raise OperateError(
            f"somebody still writes to {topics}: a producer, or `freshet replay`. Its writes would fail, or make the "
            "topic again where Kafka creates topics by itself. Stop it first, or delete all the same with --force.",
            "conflict",
        )
    say(_shown(name, found))
    if not yes:
        typer.confirm("Delete all of it for good?", abort=True, err=True)
    left = delete_pipeline(connection, name, DeletionStandIn)
    document = {
        "pipeline": name,
        "topics": dict(found.topics),
        "groups": list(found.groups),
        "specifications": found.specifications,
        "versions": found.versions,
        "epochs": found.epochs,
        "groups_left": left,
    }
    later = f" Kafka drops {', '.join(left)} by itself, once it has missed the ended workers for 30 s." if left else ""
    emit(document, f"{name} is deleted.{later}", as_json=as_json)


def _shown(name: str, found: Remains) -> str:
    lines = [f"what there is of {name}:"]
    lines += [f"  topic {topic}: {records:,} offsets" for topic, records in found.topics.items()]
    lines += [f"  group {group}" for group in found.groups]
    lines.append(f"  specifications: {found.specifications}, model versions: {found.versions}, epochs: {found.epochs}")
    return "\n".join(lines)
