"""Our schemas in a user's own schema registry, for whoever looks them up there."""

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

from freshet.avro.schema_records import SchemaRecord
from freshet.contracts.errors import ContractError
from freshet.contracts.registry_address import address_and_login
from freshet.operate.operate_error import OperateError
from freshet.runtime.registry_client import RegistryAnswer, RegistryClient, RegistryError, login_for

State = Literal["registered", "there already", "refused"]

_NOT_THERE: Final = (40401, 40402, 40403)


class Registered(NamedTuple):
    """What became of one version of a subject. `their_id` is None, and `why` says more, where it was refused."""

    record: SchemaRecord
    state: State
    their_id: int | None = None
    why: str = ""


def registry_at(url: str, known_login: str) -> RegistryClient:
    """The registry at this address, with the login in it, or that of FRESHET_SCHEMA_REGISTRY. Raises OperateError."""
    try:
        address, login = address_and_login(url)
        return RegistryClient(address, login or login_for(address, known_login))
    except ContractError as error:
        raise OperateError(f"--registry: {error}", "usage") from error


def register(registry: RegistryClient, records: Iterable[SchemaRecord]) -> list[Registered]:
    """Register each version that its subject does not hold, older versions first. Idempotent.

    A version that the registry's compatibility rule refuses ends nothing: later versions of its subject are left out,
    other subjects go on. Raises OperateError where the registry gives no answer.
    """
    done: list[Registered] = []
    refused: dict[str, str] = {}
    for record in sorted(records, key=lambda record: (record.subject, record.version)):
        if record.subject in refused:
            done.append(Registered(record, "refused", why=f"an earlier version was refused: {refused[record.subject]}"))
            continue
        try:
            found = _register(registry, record)
        except RegistryError as error:
            raise OperateError(str(error), "unreachable") from error
        if found.state == "refused":
            refused[record.subject] = found.why
        done.append(found)
    return done


def _register(registry: RegistryClient, record: SchemaRecord) -> Registered:
    subject, document = f"/subjects/{quote(record.subject, safe='')}", {"schema": record.schema, "schemaType": "AVRO"}
    known = registry.ask("POST", subject, document)
    if (identifier := _id(known)) is not None:
        return Registered(record, "there already", identifier)
    if known.error_code not in _NOT_THERE:
        return Registered(record, "refused", why=_sentence(known))
    made = registry.ask("POST", f"{subject}/versions", document)
    if (identifier := _id(made)) is not None:
        return Registered(record, "registered", identifier)
    return Registered(record, "refused", why=_sentence(made))


def _id(answer: RegistryAnswer) -> int | None:
    found: Any = answer.document.get("id") if isinstance(answer.document, dict) else None
    return found if answer.status == 200 and isinstance(found, int) else None


def _sentence(answer: RegistryAnswer) -> str:
    """What the registry says, whole."""
    return answer.message or f"HTTP {answer.status}: {answer.document}"
