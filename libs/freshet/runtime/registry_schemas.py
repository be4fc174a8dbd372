"""The schema of an id, from a user's schema registry."""

from typing import Final

from freshet.avro.written_schema import FoundSchema
from freshet.contracts.registry_address import registry_address
from freshet.runtime.registry_client import RegistryClient, RegistryError, login_for

_UNKNOWN_ID: Final = 40403


def find_schema(registry: str, schema_id: int, known_login: str) -> FoundSchema:
    """What the registry at this address says of an id. `known_login` is FRESHET_SCHEMA_REGISTRY.

    Raises RegistryError, or ContractError on an address that cannot be used.
    """
    address = registry_address(registry)
    path = f"/schemas/ids/{schema_id}"
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
