"""Asks a user's schema registry for the schemas of events, outside the loop."""

from collections.abc import Callable
from typing import Any

from freshet.avro.written_schema import FoundSchema
from freshet.contracts.logic import Job
from freshet.ingestion.core.foreign_schemas import AskForSchema
from freshet.runtime.jobs import Stop
from freshet.runtime.registry_schemas import find_schema


def schema_runner(known_login: str) -> Callable[[Job[Any], Stop], FoundSchema]:
    """Runs `AskForSchema`. `known_login` is FRESHET_SCHEMA_REGISTRY: an address with the login for that server."""

    def run(job: Job[Any], stop: Stop) -> FoundSchema:  # noqa: ARG001  (a request is short)
        if not isinstance(job, AskForSchema):
            raise TypeError(f"ingestion runs no {type(job).__name__}.")
        return find_schema(job.registry, job.schema_id, known_login)

    return run
