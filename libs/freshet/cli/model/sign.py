"""`freshet model sign`: a builder vouches for a bundle."""

from dataclasses import replace
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


Only = Annotated[bool, typer.Option("--only", help="Leave out the signatures of other keys that it has.")]


@reporting
def sign(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="What `model pack` or `model fetch` wrote.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="A private key of `freshet key new --role builder`.")],
    only: Only = False,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Sign a bundle's manifest, and write the signature beside it. Signatures of other keys stay, unless --only.

    The manifest names the digest of the bytes, so they are signed too. A key file says nothing of its role: only with
    a trust file is a key refused that signs as no builder. Publish the bundle afterwards, also where it was published
    before: the registry then takes the new signature.
    """
    found, signer = Bundle.load(bundle), builder_key(key, trust)
    signed = sign_bundle(replace(found, signatures={}) if only else found, signer)
    signed.save(bundle)
    keys = sorted(signed.signatures)
    document = {"bundle": str(bundle), "digest": found.manifest.digest, "keys": keys}
    others = ", ".join(one for one in keys if one != signer.id)
    more = f"\nIt also bears signatures of {others}: --only leaves them out." if others else ""
    emit(document, f"signed {found.manifest.digest[:12]} {with_key(signer, trust)}{more}", as_json=as_json)


def with_key(key: SigningKey, trust: Path | None) -> str:
    """With which key a bundle is signed, and whether that counts; a trust file that is named has been asked already."""
    if trust:
        return f"with key {key.id}: {trust} trusts it as a builder's."
    return (
        f"with key {key.id}. Whether it is a builder's was not checked, since no trust file is named (--trust or "
        "FRESHET_TRUST): the registry refuses the model unless its own trust file has this key under the role builder."
    )
