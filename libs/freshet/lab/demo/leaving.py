"""How a demo ends: somebody looks around in it, or everything that it made for itself goes."""

import glob
import time

from freshet.contracts.topic_table import TopicNames
from freshet.lab.console_process import OpenConsole
from freshet.lab.demo.narrator import Narrator
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.connection import connect, settings_for
from freshet.operate.deletion import delete_namespace


def look_around(
    narrator: Narrator, deployment: LocalDeployment, bootstrap_servers: str, console: OpenConsole | None = None
) -> None:
    """Leave the services running for whoever wants to look, until Ctrl-C."""
    pipeline = deployment.spec.pipeline
    variables = f"KAFKA_BOOTSTRAP_SERVERS={bootstrap_servers} FRESHET_NAMESPACE={deployment.names.namespace}"
    commands = (
        f"freshet model status --pipeline {pipeline}",
        f"freshet topic tail predictions --pipeline {pipeline} -n 3",
        f"freshet dead-letters list --pipeline {pipeline}",
        f"freshet quality --pipeline {pipeline}",
        f"freshet alarms list --pipeline {pipeline}",
        f"freshet score --pipeline {pipeline}",
        f"freshet verify --pipeline {pipeline}",
    )
    if console is not None:
        page = f"{console.address}/pipelines/{pipeline}"
        narrator.text(f"\nThe console: {page}. To act there, enter the token {console.token}.")
    narrator.text(f"\nStill running. In another terminal: export {variables}, then try")
    narrator.text("\n".join([*(f"  {command}" for command in commands), "Ctrl-C ends it."]))
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        narrator.text("stopping …")


def leave(narrator: Narrator, bootstrap_servers: str, names: TopicNames, *, keep: bool) -> None:
    """Say what stays of a demo whose services have ended; without `keep` its topics, groups and state files go."""
    say = narrator.text
    if keep:
        say(f"\nIts topics stay, under the prefix {names.namespace}: look with `--namespace {names.namespace}`.")
    else:
        settings = settings_for(bootstrap_servers, namespace=names.namespace)
        delete_namespace(connect(settings))
        for path in settings.state_dir.glob(f"{glob.escape(names.namespace)}*"):
            path.unlink(missing_ok=True)
        say("\nIts topics are deleted again; with --stay they are kept, and the services run on.")
    say("The broker keeps running: `freshet local down` stops it, `freshet local wipe` deletes its data.")
