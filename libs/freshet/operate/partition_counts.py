"""Which topics are meant: those of pipelines that are named, or of all that are published."""

from collections.abc import Sequence

from freshet.operate.connection import Connection
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec
from freshet.runtime.publishing import pipeline_records


def counts(connection: Connection, asked: Sequence[str]) -> list[tuple[str, int]]:
    """(pipeline, partitions) of those asked for, each as NAME or NAME=PARTITIONS; of all that are published for none.

    Raises OperateError for a pipeline whose partitions nobody knows.
    """
    given = dict(text.partition("=")[::2] for text in asked)
    if given and all(given.values()):
        return [(name, _number(name, partitions)) for name, partitions in given.items()]
    records = pipeline_records(connection.bus())
    published = {name: PipelineSpec.parse(record.spec).partitions for name, record in records.items()}
    if not asked:
        return sorted(published.items())
    if strangers := [name for name, partitions in given.items() if not partitions and name not in published]:
        raise OperateError(
            f"pipeline {strangers[0]!r} is not published here, so its partitions are unknown. Publish it with `freshet "
            f"apply -f FOLDER`, which also creates its topics, or give --pipeline {strangers[0]}=6."
        )
    return [(name, _number(name, partitions) if partitions else published[name]) for name, partitions in given.items()]


def _number(name: str, partitions: str) -> int:
    if not partitions.isdecimal() or int(partitions) < 1:
        raise OperateError(f"--pipeline {name}={partitions}: that is not a number of partitions.", "usage")
    return int(partitions)
