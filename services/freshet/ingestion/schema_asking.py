"""Asks a user's schema registry for the schemas of events, outside the loop."""

from collections.abc import Callable
from typing import Any, Final

from freshet.contracts.logic import Job
from freshet.contracts.registry_address import registry_address
from freshet.ingestion.core.foreign_schemas import AskForSchema, FoundSchema
from freshet.runtime.jobs import Stop
from freshet.runtime.registry_client import RegistryClient, RegistryError, login_for

_UNKNOWN_ID: Final = 40403


def schema_runner(known_login: str) -> Callable[[Job[Any], Stop], FoundSchema]:
    """Runs `AskForSchema`. `known_login` is FRESHET_SCHEMA_REGISTRY: an address with the login for that server."""

    def run(job: Job[Any], stop: Stop) -> FoundSchema:  # noqa: ARG001  (a request is short)
        if not isinstance(job, AskForSchema):
            raise TypeError(f"ingestion runs no {type(job).__name__}.")
        return ask(job, known_login)

    return run


def ask(job: AskForSchema, known_login: str) -> FoundSchema:
    """What the registry says. Raises RegistryError, or ContractError on an address that cannot be used."""
    address = registry_address(job.registry)
    path = f"/schemas/ids/{job.schema_id}"
    answer = RegistryClient(address, login_for(address, known_login)).ask("GET", path)
    if answer.error_code == _UNKNOWN_ID:
        return FoundSchema(None)
    schema = answer.document.get("schema") if isinstance(answer.document, dict) else None
    if answer.status != 200 or not isinstance(schema, str):
        raise RegistryError(
            f"the schema registry at {address} answers HTTP {answer.status} to {path}, but with no schema: is its path "
            "right, as /apis/ccompat/v7 for Apicurio?"
        )
    kind = answer.document.get("schemaType") or "AVRO"
    return FoundSchema(schema, str(kind), bool(answer.document.get("references")))
