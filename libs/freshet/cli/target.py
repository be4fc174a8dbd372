"""Which pipeline is meant: a folder on this machine, or one that is published."""

from pathlib import Path

from freshet.avro.schemas import Schema
from freshet.cli.control import published
from freshet.cli.output import connect
from freshet.pipeline import PipelineSpec, load_checked


def target(name: str, bootstrap: str | None, namespace: str) -> tuple[PipelineSpec, Schema]:
    """Specification and event schema of the folder of that name, or else of the published pipeline.

    Raises PipelineError if the folder has problems, ContractError if there is neither.
    """
    folder = Path(name)
    if not (folder / "pipeline.yaml").is_file():
        found = published(connect(bootstrap, namespace).bus(), name)
        return found.spec, found.schema
    spec, _, schema = load_checked(folder)
    return spec, schema
