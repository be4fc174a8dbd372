"""`freshet run`: one service as a process, until it is told to stop."""

from typing import Annotated, Literal

import typer

from freshet.cli.output import PIPELINES, Bootstrap, Namespace, reporting, settings
from freshet.contracts.name_rules import pipeline_names
from freshet.operate.operate_error import OperateError
from freshet.runtime.process import run as run_service
from freshet.runtime.service import ControlService, EdgeService, Service, load_service, service_names


@reporting
def run(
    service: Annotated[str, typer.Argument(help=f"Which service: {', '.join(service_names())}.")],
    pipelines: Annotated[
        str,
        typer.Option(
            metavar="P,Q", help="The pipelines it serves, each in a loop of its own. The registry serves all."
        ),
        PIPELINES,
    ] = "",
    slot: Annotated[str | None, typer.Option(help="This process among its equals, such as 0. [FRESHET_SLOT]")] = None,
    slots: Annotated[
        Literal["fixed", "elastic"] | None,
        typer.Option(help="fixed: restarted in place under its slot; elastic: comes and goes. [FRESHET_SLOTS]"),
    ] = None,
    http_port: Annotated[
        int | None, typer.Option(help="For /live, /ready and /metrics; 0 takes a free one. [FRESHET_HTTP_PORT]")
    ] = None,
    on_expired: Annotated[
        Literal["stop", "skip"] | None,
        typer.Option(
            help="When retention has overtaken us: stop, or skip and leave a dead letter. [FRESHET_ON_EXPIRED]"
        ),
    ] = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
) -> None:
    """Run a service until SIGTERM or Ctrl-C; its log goes to stderr as JSON lines."""
    given = {"slot": slot, "slots": slots, "http_port": http_port, "on_expired": on_expired}
    found = load_service(service)
    where = settings(bootstrap, found.name, namespace=namespace, **given)
    raise typer.Exit(run_service(found, _pipelines(found, pipelines), where))


def _pipelines(service: Service, text: str) -> list[str]:
    names = pipeline_names(text)
    if isinstance(service, EdgeService) and names:
        raise OperateError(f"{service.name} is for all pipelines: leave --pipelines out.", "usage")
    if isinstance(service, ControlService) and names:
        raise OperateError(f"{service.name} decides for all pipelines: leave --pipelines out.", "usage")
    if not isinstance(service, ControlService | EdgeService) and not names:
        raise OperateError(
            f"{service.name} serves pipelines: name them, as in `freshet run {service.name} --pipelines loans`.",
            "usage",
        )
    return names
