"""A whole Freshet on a real Kafka that has answered events with labels, some of them spoilt, and what it shows."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.tables.features import feature_rows

EVENTS: Final = 1500
PIPELINE: Final = "loans"
_PATIENCE_S: Final = 60.0

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""By the name of a series and its labels."""


@dataclass(frozen=True)
class Observed:
    """Where all of it is."""

    stage: LocalDeployment
    kafka: str
    trained_through_ms: int
    """When the newest label came that the model says to have learned from."""
    logs: Path
    ports: Mapping[str, int]
    """Of each process: where it serves its metrics."""

    def scrape(self, name: str) -> str:
        """What a process shows now."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=_PATIENCE_S) as answer:
            return str(answer.read().decode())

    def values(self, name: str) -> Values:
        """The same, by series."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.scrape(name))
            for sample in family.samples
        }

    def one(self, process: str, series: str, /, **labels: str) -> float:
        """The sum of the series of this name that have these labels; there must be one."""
        wanted = set(labels.items())
        found = [value for (name, has), value in self.values(process).items() if name == series and wanted <= has]
        assert found, f"{process} shows no {series} with {labels}"
        return sum(found)

    def log(self, name: str) -> str:
        """The end of what a process has logged."""
        return (self.logs / f"{name}.log").read_text()[-2000:]

    def look_again(self) -> None:
        """Wait until `freshet observe` has made a look that began after this was called."""
        deadline, ages = time.monotonic() + _PATIENCE_S, list[float]()
        while sum(after < before for before, after in pairwise(ages)) < 2:  # the first may have begun before
            assert time.monotonic() < deadline, f"it looks no more: {self.log('observe')}"
            shown = self.values("observe").get(("freshet_observation_age_seconds", frozenset({("pipeline", PIPELINE)})))
            ages += [] if shown is None else [shown]
            time.sleep(0.1)


@contextmanager
def observed(kafka: str, folder: Path) -> Iterator[Observed]:
    """All services and `freshet observe`, once every event is answered, labelled, evaluated and looked at."""
    namespace = f"m{secrets.token_hex(3)}."
    with LocalDeployment(kafka, namespace, pipelines_dir() / PIPELINE, folder / "logs", workers=1) as stage:
        stage.apply()
        stage.start()
        watcher = observing(kafka, namespace, folder / "logs/observe.log")
        try:
            values, truths = feature_rows(stage.spec, stage.schema, loans.sample(stage.schema, 600, seed=1))
            trained = train_and_pack("linear", values, truths, stage.spec)
            through_ms = time.time_ns() // 1_000_000
            lineage = {"trained_through_ms": str(through_ms)}
            manifest = trained.bundle.manifest.model_copy(update={"lineage": lineage})
            stage.wait_live(stage.offer(trained.bundle.data, manifest).version)
            load = stage.load(rate=1000.0, corrupt_share=0.05, labels_after=300)
            for _ in load.publish(islice(loans.Applications(stage.schema, seed=2), -(-EVENTS // 200))):
                pass
            stage.wait_drained()
            stage.wait_evaluated()
            names = [*stage.services, "observe"]
            logs = folder / "logs"
            ports = {name: http_port(logs / f"{name}.log") or 0 for name in names}
            here = Observed(stage, kafka, through_ms, logs, ports)
            here.look_again()
            yield here
        finally:
            watcher.send_signal(signal.SIGTERM)
            assert watcher.wait(_PATIENCE_S) == 0


def observing(
    kafka: str, namespace: str, log: Path, login: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """`freshet observe` as a process; `login`: further client settings."""
    where = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace, "FRESHET_KAFKA": json.dumps(login or {})}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "freshet.cli", "observe", "--verify", "0.1"],
            env={**os.environ, **where},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )


def http_port(log: Path) -> int | None:
    """Where the process that writes this log serves; None before it has said so."""
    told = (json.loads(line) for line in log.read_text().rpartition("\n")[0].splitlines() if '"started"' in line)
    return next((int(line["http_port"]) for line in told), None)
