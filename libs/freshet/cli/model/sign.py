"""`freshet model sign`: a builder vouches for a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Json, emit, reporting
from freshet.models.bundle import Bundle
from freshet.operate.private_key import builder_key, sign_bundle
from freshet.trust.signing_key import SigningKey

Trust = Annotated[
    Path | None,
    typer.Option(
        envvar="FRESHET_TRUST", metavar="FILE", help="Sign only if this trust file trusts the key as a builder's."
    ),
]


@reporting
def sign(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="What `model pack` wrote.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="A private key of `freshet key new --role builder`.")],
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Sign a bundle's manifest, and write the signature beside it. Signatures of other keys stay.

    The manifest names the digest of the bytes, so they are signed too. Publish the bundle afterwards, also where it
    was published before: the registry then takes the new signature.
    """
    found, signer = Bundle.load(bundle), builder_key(key, trust)
    signed = sign_bundle(found, signer)
    signed.save(bundle)
    document = {"bundle": str(bundle), "digest": found.manifest.digest, "keys": sorted(signed.signatures)}
    emit(document, f"signed {found.manifest.digest[:12]} {as_builder(signer, trust)}", as_json=as_json)


def as_builder(key: SigningKey, trust: Path | None) -> str:
    """Who signed a bundle, and where that counts; a trust file that is named has been asked already."""
    counts = f"{trust} trusts it" if trust else "that counts where the trust file has this key under the role builder"
    return f"as its builder, with key {key.id}: {counts}."
