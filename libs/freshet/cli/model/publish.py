"""`freshet model publish`: a bundle goes onto the topics, and the registry says what it makes of it."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Bootstrap, Exit, Json, Namespace, connect, emit, reporting
from freshet.contracts.messages import ModelVersion
from freshet.ledger.versions import REFUSED_AGAIN, said_again
from freshet.models.bundle import Bundle
from freshet.models.manifest import refuses
from freshet.operate.facts import published
from freshet.operate.publication import publish as publish_bundle


@reporting
def publish(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="What `model pack` wrote.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the registry's verdict.")] = True,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Publish a model's bytes and its manifest. Idempotent. Exits with 4 if the registry refuses it, or its signatures.

    Whether it then answers is the pipeline's rollout policy; with `manual`, `freshet model promote` decides.
    """
    found = Bundle.load(bundle)
    connection = connect(bootstrap, namespace)
    policy = published(connection, found.manifest.pipeline).spec.rollout.policy
    try:
        verdict = publish_bundle(connection, found, wait=wait)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    digest = found.manifest.digest
    if verdict is None:
        emit({"digest": digest}, f"published {digest[:12]}.", as_json=as_json)
        return
    document = {
        "digest": digest,
        "state": verdict.state,
        "version": verdict.version,
        "reason": verdict.reason,
        "published_again": said_again(verdict),
        "required": verdict.manifest.required,
    }
    emit(document, f"{shown(verdict)}{waits_for(verdict, policy)}", as_json=as_json)
    raise typer.Exit(Exit.CHECK if refused(verdict) else Exit.OK)


def refused(verdict: ModelVersion) -> bool:
    """Whether the registry did not take what was published; a version that it knew before stays what it was."""
    return verdict.state == "refused" or said_again(verdict).startswith(REFUSED_AGAIN)


def waits_for(verdict: ModelVersion, policy: str) -> str:
    """What a person has to do before an admitted version answers; empty where nothing has to be done."""
    if verdict.state != "admitted" or refused(verdict) or policy == "immediate":
        return ""
    promote = f"`freshet model promote {verdict.version} --pipeline {verdict.pipeline}`"
    if policy == "gated":
        return f"\nThe policy is gated: it answers if retraining found it good enough; any other waits for {promote}."
    return f"\nThe policy is {policy}: it may wait for {promote}."


def shown(verdict: ModelVersion) -> str:
    """The registry's verdict, and of a version that may answer which events it will refuse."""
    if verdict.state == "refused":
        return f"refused: {verdict.reason}"
    if again := said_again(verdict):
        return f"{again}\n{verdict.version} is {verdict.state} as before: {verdict.reason}"
    # the reason of an admission begins with "admitted as …"
    told = verdict.reason if verdict.state == "admitted" else f"{verdict.state}: {verdict.reason}"
    required = verdict.manifest.required
    return f"{told}\n{verdict.version} {refuses(required)}." if required else told
