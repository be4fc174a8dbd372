"""Which pipeline is meant: a folder on this machine, or one that is published."""

from collections.abc import Callable
from pathlib import Path

from freshet.avro.schemas import Schema
from freshet.operate.connection import Connection
from freshet.operate.facts import published
from freshet.pipeline import PipelineSpec, load_checked


def target(name: str, connect: Callable[[], Connection]) -> tuple[PipelineSpec, Schema]:
    """Specification and event schema of the folder of that name, or else of the published pipeline.

    Connects only if there is no such folder. Raises PipelineError if the folder has problems, ContractError if there
    is neither.
    """
    folder = Path(name)
    if not (folder / "pipeline.yaml").is_file():
        found = published(connect(), name)
        return found.spec, found.schema
    spec, _, schema = load_checked(folder)
    return spec, schema
