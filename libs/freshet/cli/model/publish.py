"""`freshet model publish`: a bundle goes onto the topics, and the registry says what it makes of it."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from freshet.cli.control import published
from freshet.cli.output import Bootstrap, CommandError, Connection, Exit, Json, Namespace, connect, emit, reporting, say
from freshet.cli.patience import patiently
from freshet.contracts.messages import Manifest, ModelVersion
from freshet.models.bundle import Bundle
from freshet.operate.errors import LocalError
from freshet.operate.view import View
from freshet.runtime.artifacts import publish_model, withdraw_model

_VERDICT_S: Final = 150.0  # admission fetches while chunks come, and judges within a minute


@reporting
def publish(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="What `model pack` wrote.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the registry's verdict.")] = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Publish a model's bytes and its manifest. Idempotent. Exits with 4 if the registry refuses it.

    Whether it then answers is the pipeline's rollout policy; with `manual`, `freshet model promote` decides.
    """
    found = Bundle.load(bundle)
    connection = connect(bootstrap, namespace)
    published(connection.bus(), found.manifest.pipeline)
    view = View(connection.bus(), found.manifest.pipeline)
    try:
        offset = _send(connection, found)
        if not wait:
            digest = found.manifest.digest
            emit({"digest": digest}, f"published {digest[:12]}.", as_json=as_json)
            return
        verdict = _verdict(connection, view, found.manifest, offset)
    finally:
        view.close()
    document: dict[str, Any] = {"digest": found.manifest.digest, "state": verdict.state, "version": verdict.version}
    # the reason of an admission begins with "admitted as …"
    shown = verdict.reason if verdict.state == "admitted" else f"{verdict.state}: {verdict.reason}"
    emit({**document, "reason": verdict.reason}, shown, as_json=as_json)
    raise typer.Exit(Exit.CHECK if verdict.state == "refused" else Exit.OK)


def _send(connection: Connection, bundle: Bundle) -> int:
    producer = connection.bus().producer()
    try:
        return publish_model(producer, bundle.data, bundle.manifest).offset
    finally:
        producer.close()


def _verdict(connection: Connection, view: View, manifest: Manifest, offset: int) -> ModelVersion:
    say(f"published {manifest.digest[:12]}; waiting for the registry's verdict …")
    try:
        return patiently(
            view,
            connection.bus(),
            "the verdict",
            lambda seen: seen.ledger.versions.verdict(manifest, offset),
            _VERDICT_S,
            hint="The model is published and will be judged then; Ctrl-C withdraws it.",
        )
    except KeyboardInterrupt:
        _withdraw(connection, manifest)
        raise typer.Exit(Exit.INTERRUPTED) from None
    except LocalError as error:
        raise CommandError(
            f"no verdict on {manifest.digest[:12]} came within {_VERDICT_S:.0f} s. Is the registry running? "
            "`freshet run registry` starts it; the model is published and will be judged then.",
            Exit.FAILURE,
        ) from error


def _withdraw(connection: Connection, manifest: Manifest) -> None:
    producer = connection.bus().producer()
    try:
        withdraw_model(producer, manifest)
    finally:
        producer.close()
    say(
        f"withdrawn: {manifest.digest[:12]} will not be judged, unless a registry has just done so: "
        f"`freshet model list --pipeline {manifest.pipeline}` shows that."
    )
