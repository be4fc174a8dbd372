"""A bundle goes onto the topics, and the registry says what it makes of it."""

from typing import Final

from freshet.contracts.messages import Manifest, ModelVersion
from freshet.models.bundle import Bundle
from freshet.operate.connection import Connection
from freshet.operate.operate_error import LocalError, OperateError
from freshet.operate.patience import patiently
from freshet.operate.pipeline_view import View
from freshet.runtime.artifacts import publish_model, withdraw_model
from freshet.runtime.bus.protocol import BusError, Producer

VERDICT_S: Final = 150.0
"""How long a verdict is waited for: admission fetches while chunks come, and judges within a minute."""


def publish(connection: Connection, bundle: Bundle, *, wait: bool = True) -> ModelVersion | None:
    """Publish a model's bytes and its manifest, and wait for the registry's verdict; None without waiting. Idempotent.

    Raises OperateError if no verdict comes in time: the model is published then, and will be judged. An interrupt
    (KeyboardInterrupt) while waiting withdraws it, and is raised again.
    """
    manifest = bundle.manifest
    view = View(connection.bus(), manifest.pipeline)
    producer = connection.bus().producer()
    try:
        offset = publish_model(producer, bundle.data, manifest, bundle.signatures).offset
        return _verdict(connection, view, manifest, offset) if wait else None
    except KeyboardInterrupt:
        connection.say(_withdrawn(producer, manifest))
        raise
    finally:
        producer.close()
        view.close()


def _withdrawn(producer: Producer, manifest: Manifest) -> str:
    """Take the model back; what became of it in a sentence."""
    shows = f"`freshet model list --pipeline {manifest.pipeline}` shows that."
    try:
        withdraw_model(producer, manifest)
    except BusError as error:
        return f"{manifest.digest[:12]} could not be withdrawn: {error} It will be judged, if it was written: {shows}"
    return f"withdrawn: {manifest.digest[:12]} will not be judged, unless a registry has just done so: {shows}"


def _verdict(connection: Connection, view: View, manifest: Manifest, offset: int) -> ModelVersion:
    connection.say(f"published {manifest.digest[:12]}; waiting for the registry's verdict …")
    try:
        return patiently(
            view,
            connection,
            "the verdict",
            lambda seen: seen.ledger.versions.verdict(manifest, offset),
            VERDICT_S,
            hint="The model is published and will be judged then; Ctrl-C withdraws it.",
        )
    except LocalError as error:
        raise OperateError(
            f"no verdict on {manifest.digest[:12]} came within {VERDICT_S:.0f} s. Is the registry running? "
            "`freshet run registry` starts it; the model is published and will be judged then."
        ) from error
