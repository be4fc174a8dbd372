"""`freshet observe`: what Kafka and the topics say of pipelines, as metrics for Prometheus."""

import signal
import threading
import time
from typing import Annotated, Final

import structlog
import typer

from freshet.cli.output import PIPELINES, Bootstrap, Namespace, connect, reporting, settings
from freshet.contracts.name_rules import pipeline_names
from freshet.operate.observer.observer import Observer
from freshet.runtime.http import HealthServer, stuck
from freshet.runtime.telemetry import Metrics, configure_logs

_EVERY_S: Final = 5.0


@reporting
def observe(
    pipelines: Annotated[
        str, typer.Option(metavar="P,Q", help="Only these pipelines. By default all."), PIPELINES
    ] = "",
    http_port: Annotated[
        int | None, typer.Option(help="For /live, /ready and /metrics; 0 takes a free one. [FRESHET_HTTP_PORT]")
    ] = None,
    verify: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="Also judge, every MINUTES, what came in; 0 does not.")
    ] = 0.0,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
) -> None:
    """Serve lag, freshness, quality, alarms and trainings of pipelines to Prometheus, until SIGTERM or Ctrl-C.

    It asks Kafka and reads topics, and asks no service: what it says is also true of a dead one. --verify reads all
    that came in meanwhile, as `freshet verify` does, and tells how many breaches it found.
    """
    where = settings(bootstrap, namespace=namespace, http_port=http_port)
    configure_logs(where.log_level, service="observe")
    stop, looked_s = threading.Event(), [time.monotonic()]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    names = pipeline_names(pipelines)
    observer = Observer(connect(bootstrap, namespace), names)
    metrics = Metrics(())
    metrics.tell_of_the_process()
    metrics.registry.register(observer)
    ready = threading.Event()
    server = HealthServer(
        where.http_host,
        where.http_port,
        live=lambda: stuck(looked_s[0]),
        ready=lambda: None if ready.is_set() else "nothing was seen yet",
        registry=metrics.registry,
    )
    structlog.get_logger("observe").info("started", http_port=server.port, pipelines=names)
    if verify:
        threading.Thread(target=_judge, args=(observer, verify, stop), name="verify", daemon=True).start()
    try:
        while not stop.is_set():
            if observer.look():
                ready.set()
            looked_s[0] = time.monotonic()
            stop.wait(_EVERY_S)
    finally:
        server.close()
        observer.close()


def _judge(observer: Observer, minutes: float, stop: threading.Event) -> None:
    while not stop.wait(minutes * 60):
        observer.judge(minutes)
