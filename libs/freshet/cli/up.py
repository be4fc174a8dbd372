"""`freshet up FOLDER`: apply, and run every service there is until Ctrl-C."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Bootstrap, Namespace, connect, reporting, say, shown_lines
from freshet.lab import broker
from freshet.lab.logins import Logins
from freshet.lab.ports import free_port
from freshet.lab.up.refusals import refuse_keys, refuse_ports, refuse_taken
from freshet.lab.up.service_run import Run, pipeline_folders
from freshet.lab.up.services import RETRAINING, plan
from freshet.operate.folder_apply import apply_folder
from freshet.pipeline import PipelineSpec, load_checked
from freshet.runtime.bus.kafka.grants import KafkaGrants
from freshet.runtime.rights import rights_of_users
from freshet.runtime.service import ControlService, EdgeService, Service, load_service, service_names
from freshet.runtime.settings import SettingsError, load_settings


@reporting
def up(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A pipeline's folder, or a folder of such.")],
    workers: Annotated[int, typer.Option(min=1, help="How many inference processes.")] = 1,
    http_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_000, help="First port for health and metrics, one each; free ones by default."),
    ] = None,
    registry: Annotated[
        bool, typer.Option("--registry/--no-registry", help="Whether to run registry and retraining, too.")
    ] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every line of every log, not only what matters to everybody.")
    ] = False,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
) -> None:
    """Apply a pipeline, or all of a folder, and run what they need, with one log, until Ctrl-C ends all of it in order.

    Without a Kafka named, the local broker of this folder is started; it stays when this ends. If it is a secured one,
    each service is granted its rights, and logs in as a user of its own. What services would refuse to run with (keys,
    a port, another `freshet up` of this folder) is refused before anything is started. What dies is started again, but
    a service that cannot run with its settings ends everything with its sentence and exit code 2. A second Ctrl-C
    kills.
    """
    pipelines = [load_checked(found) for found in pipeline_folders(folder)]
    specs = [spec for spec, _, _ in pipelines]
    services, names = _services(specs, registry=registry), [spec.pipeline for spec in specs]
    asked = load_settings(bootstrap or "the broker of this folder", namespace=namespace)
    refuse_keys(asked, specs, registry=registry)
    refuse_taken(asked, names, services, workers)
    ports = _ports(http_port or asked.http_port)
    planned = plan(services, names, workers, ports)
    refuse_ports(asked.http_host, planned)
    started_broker = bootstrap is None
    grants = False
    if bootstrap is None:
        endpoint = broker.up(Path.cwd(), say=say)
        bootstrap, grants = endpoint.bootstrap_servers, Logins.at(Path.cwd(), endpoint).ours is not None
    connection = connect(bootstrap, namespace)
    if grants:
        rights = rights_of_users(namespace, names)
        KafkaGrants(bootstrap, extra=connection.client).grant(rights)
    for checked in pipelines:
        record = apply_folder(connection, checked).record
        say(f"{record.pipeline} is applied as number {record.number}; its event schema has id {record.event_schema_id}")
    owners = [service.name for service in services if isinstance(service, ControlService)]
    run = Run(connection, specs, planned, owners, _show, verbose=verbose)
    try:
        run.until_stopped()
    finally:
        run.stop()
        if started_broker:
            say("the local broker keeps running with its data: `freshet local down` stops it.")


def _ports(first: int) -> Iterator[int]:
    return count(first) if first else iter(free_port, None)


def _services(specs: Sequence[PipelineSpec], *, registry: bool) -> list[Service]:
    """All that there are but those at the edge, which no event needs.

    Retraining may lack what it trains with, where no pipeline says when a model is trained.
    """
    found: list[Service] = []
    for name in service_names():
        try:
            service = load_service(name)
        except SettingsError as error:
            if name != RETRAINING or any(spec.retraining.triggers for spec in specs):
                raise
            say(f"retraining is not run: {error}")
            continue
        if not isinstance(service, EdgeService) and (registry or not isinstance(service, ControlService)):
            found.append(service)
    return found


def _show(text: str) -> None:
    typer.echo(shown_lines(text), err=True)
