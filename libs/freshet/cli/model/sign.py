"""`freshet model sign`: a builder vouches for a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Json, emit, reporting
from freshet.models.bundle import Bundle
from freshet.operate.private_key import read_key, sign_bundle


@reporting
def sign(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="What `model pack` wrote.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="A private key of `freshet key new --role builder`.")],
    as_json: Json = False,
) -> None:
    """Sign a bundle's manifest, and write the signature beside it. Signatures of other keys stay.

    The manifest names the digest of the bytes, so they are signed too. Publish the bundle afterwards, also where it
    was published before: the registry then takes the new signature.
    """
    found, signer = Bundle.load(bundle), read_key(key)
    signed = sign_bundle(found, signer)
    signed.save(bundle)
    document = {"bundle": str(bundle), "digest": found.manifest.digest, "keys": sorted(signed.signatures)}
    said = (
        f"signed {found.manifest.digest[:12]} as its builder, with key {signer.id}: that counts where the trust file "
        "has this key under the role builder."
    )
    emit(document, said, as_json=as_json)
