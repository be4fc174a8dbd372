"""`freshet key`: pairs of keys for signed models, and their entries in the trust file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from freshet.cli.lazy import lazy_app
from freshet.cli.output import Json, emit, reporting, say
from freshet.operate.operate_error import OperateError
from freshet.operate.private_key import read_key
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import Role
from freshet.trust.trusted_keys import public_entry

AsRole = Annotated[Role, typer.Option(help="What it signs: `builder` models, `release` epochs.")]
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "new": ("freshet.cli.key:new", "Make a private key, and print its entry for the trust file."),
    "show": ("freshet.cli.key:show", "Print the trust file's entry of a private key."),
}
app = lazy_app("Keys of signed models.", COMMANDS)
_OWNER_ONLY: Final = 0o600


@reporting
def new(
    role: AsRole,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it; a file that is there is kept.")],
    as_json: Json = False,
) -> None:
    """Make an Ed25519 key at random. The file is readable by its owner alone, and never leaves this machine by itself.

    Stdout gets the public entry: add it to `keys:` of the trust file that registry and workers are given.
    """
    key = SigningKey.generate()
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as file:
            file.write(key.pem())
    except FileExistsError:
        raise OperateError(
            f"{out} is there already: a key is never written over. Name another file.", "conflict"
        ) from None
    except OSError as error:
        raise OperateError(f"{out} cannot be written: {error.strerror}.", "usage") from error
    say(f"wrote the private key {key.id} to {out}: whoever reads it can sign as {role}")
    _print(key, role, as_json=as_json)


@reporting
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `key new` wrote.")],
    role: AsRole,
    as_json: Json = False,
) -> None:
    """Print a key's public entry again; nothing of the private key is shown."""
    _print(read_key(file), role, as_json=as_json)


def _print(key: SigningKey, role: Role, *, as_json: bool) -> None:
    document = {"id": key.id, "role": role, "public_key": key.public, "status": "trusted"}
    emit(document, public_entry(key.public, role).rstrip(), as_json=as_json)
