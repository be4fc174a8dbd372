"""`freshet model fetch`: a published model comes back as a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import PIPELINE, Bootstrap, Force, Json, Namespace, connect, emit, reporting
from freshet.operate.bundle_folder import bundle_files, refuse_occupied
from freshet.operate.model_fetch import fetch_bundle, find_model, origin


@reporting
def fetch(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Or the first digits of its sha256.")],
    pipeline: Annotated[str, typer.Option(help="Whose model."), PIPELINE],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to write the bundle.")],
    force: Force = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Write a published model, such as one that retraining made, as the bundle that `model sign` and `publish` take.

    Its bytes have the sha256 that its manifest names. But whoever may write to Kafka can write both: sign only a model
    that you know.
    """
    if force:
        bundle_files(output)
    else:
        refuse_occupied(output)
    connection = connect(bootstrap, namespace)
    model = find_model(connection, pipeline, version)
    bundle = fetch_bundle(connection, model)
    bundle.save(output)
    manifest = bundle.manifest
    document = {
        "bundle": str(output),
        "version": model.version,
        "state": model.state,
        "digest": manifest.digest,
        "size_bytes": manifest.size_bytes,
        "trainer": manifest.trainer,
        "lineage": dict(manifest.lineage),
        "keys": sorted(bundle.signatures),
    }
    signed = f"signed with key {', '.join(sorted(bundle.signatures))}" if bundle.signatures else "not signed"
    shown = (
        f"fetched {model.version or 'the refused model'} of {pipeline}: {manifest.trainer}, sha256 {manifest.digest}, "
        f"{manifest.size_bytes / 1024:,.0f} KiB, {signed}.\nSign it only if you know it: {origin(model)}.\n"
        f"Next: freshet model sign {output} --key BUILDER.pem, and freshet model publish {output}"
    )
    emit(document, shown, as_json=as_json)
