"""A folder becomes a pipeline: what it needs is made, and its specification is the newest."""

from freshet.avro.own_schemas import Schema
from freshet.operate.connection import Connection
from freshet.operate.deletion import decided
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.kafka.admin import BROKER_DEFAULT
from freshet.runtime.provision import provision
from freshet.runtime.publishing import Publication, publish_pipeline, review_pipeline


def apply_folder(
    connection: Connection,
    checked: tuple[PipelineSpec, str, Schema],
    replication_factor: int = BROKER_DEFAULT,
    *,
    adopt: bool = False,
) -> Publication:
    """Publish what `load_checked` has read of a folder, its topics first. Idempotent.

    Raises as `publish_pipeline` and `provision` do, and OperateError where a deletion was not finished: the old life's
    models would answer in the new one.
    """
    spec, text, event_schema = checked
    namespace, name = connection.namespace, spec.pipeline
    bus = connection.bus(name)
    planned = review_pipeline(bus, namespace, spec, text, event_schema)  # refuses before any topic is made
    if planned.changed and planned.record.number == 1 and decided(bus, name):
        raise OperateError(
            f"versions of an earlier pipeline {name} are still there: its deletion was interrupted. Finish it with "
            f"`freshet pipeline delete {name}`, then apply this one.",
            "conflict",
        )
    provision(
        connection.admin,
        namespace,
        [(name, spec.partitions)],
        replication_factor=replication_factor,
        adopt=adopt,
        say=connection.say,
    )
    return publish_pipeline(bus, namespace, spec, text, event_schema)
