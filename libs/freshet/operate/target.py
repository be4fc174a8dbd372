"""Which pipeline is meant: a folder on this machine, or one that is published."""

from collections.abc import Callable
from pathlib import Path

from freshet.avro.own_schemas import Schema
from freshet.contracts.errors import FreshetError
from freshet.operate.connection import Connection
from freshet.operate.facts import published
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec, load_checked
from freshet.pipeline.near_folders import did_you_mean


def target(name: str, connect: Callable[[], Connection]) -> tuple[PipelineSpec, Schema]:
    """Specification and event schema of the folder of that name, or else of the published pipeline.

    Connects only if there is no such folder. Raises PipelineError if the folder has problems, ContractError if there
    is neither, or OperateError that first names the folders that may be meant.
    """
    folder = Path(name)
    if not (folder / "pipeline.yaml").is_file():
        try:
            found = published(connect(), name)
        except FreshetError as error:
            if not (hint := did_you_mean(folder)):
                raise
            raise OperateError(
                f"there is no folder {folder} with a pipeline.yaml.{hint} If it is the name of a published pipeline: "
                f"{error}",
                error.meaning if isinstance(error, OperateError) else "failed",
            ) from error
        return found.spec, found.schema
    spec, _, schema = load_checked(folder)
    return spec, schema
