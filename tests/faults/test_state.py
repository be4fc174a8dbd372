"""Workers with state are killed on a real Kafka: each successor restores what was, and every count stays exact."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from freshet.lab.supervisor import Supervisor
from freshet.operate.operate_error import LocalError
from support.counter_pipeline import QUICK, CounterPipeline
from support.faults import STEPS, until
from support.stateful import SERVICE, Checkpointed, Counter, Slabbed, check_counts

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(300)]

_KILLS = 8
_LONGEST_S = 1.5
_TESTS = Path(__file__).parents[1]
_DECLARED = """
from freshet.runtime.service import DataService
from support.loops import REFERENCE
from support.stateful import {kind}

SERVICE = DataService("{service}", lambda context: {kind}(), (REFERENCE,))
"""


class Workers:
    """Two processes of the counter as a service of its own, as `freshet run` starts any; what dies is started again."""

    def __init__(self, pipeline: CounterPipeline, folder: Path, supervisor: Supervisor) -> None:
        self.supervisor, self._pipeline, self._folder = supervisor, pipeline, folder
        declared = folder / "freshet" / SERVICE / "service.py"
        declared.parent.mkdir(parents=True)
        declared.write_text(_DECLARED.format(kind=pipeline.kind.__name__, service=SERVICE))
        self._env = {
            "KAFKA_BOOTSTRAP_SERVERS": pipeline.kafka,
            "FRESHET_NAMESPACE": pipeline.names.namespace,
            "FRESHET_STATE_DIR": str(folder / "state"),
            "FRESHET_KAFKA": json.dumps(QUICK),
            "PYTHONPATH": os.pathsep.join([str(folder), str(_TESTS)]),
        }

    def run(self, slot: str, failpoint: str = "") -> None:
        """Start one; with a failpoint, each of its lives ends there by SIGKILL."""
        command = [sys.executable, "-m", "freshet.cli", "run", SERVICE, "--slot", slot, "--pipelines", "p"]
        self.supervisor.start(slot, command, {**self._env, "FRESHET_FAILPOINT": failpoint})

    def feed_until(self, holds: Callable[[], bool]) -> None:
        """A few rows at a time, so that there are many transactions."""

        def fed() -> bool:
            self._pipeline.feed(5)
            return holds()

        until("the workers to get there", fed)

    def feed_until_restored(self) -> None:
        """Until some worker has brought back the state of a partition."""
        before = len(self.logged("restored"))
        self.feed_until(lambda: len(self.logged("restored")) > before)

    def feed_for(self, seconds: float) -> None:
        """So long."""
        due = time.monotonic() + seconds
        self.feed_until(lambda: time.monotonic() > due)

    def kill(self, slot: str) -> None:
        """Whatever it does at this moment; nothing if it is between two lives."""
        try:
            self.supervisor.kill(slot)
        except LocalError:
            return

    def logged(self, event: str) -> list[dict[str, object]]:
        """What all lives of all workers said under this name."""
        lines = (line for log in self._folder.glob("logs/*.log") for line in log.read_text().splitlines())
        entries = (json.loads(line) for line in lines if line.startswith("{"))
        return [entry for entry in entries if entry["event"] == event]


@pytest.mark.parametrize("kind", [Counter, Checkpointed, Slabbed])
def test_a_worker_with_state_is_killed_again_and_again(
    kafka: str, namespace: str, tmp_path: Path, kind: type[Counter]
) -> None:
    """At each step of a transaction, and at random moments, also while it restores: every row is counted once."""
    pipeline, chance = CounterPipeline(kafka, namespace, kind), Random(7)
    with Supervisor(tmp_path / "logs") as supervisor:
        workers = Workers(pipeline, tmp_path, supervisor)
        workers.run("0")
        for count, step in enumerate(STEPS, start=2):
            workers.run("1", f"{step}:{count}")
            workers.feed_until(lambda: supervisor.restarts("1") >= 1)
            supervisor.stop("1")
        workers.run("1")
        for number in range(_KILLS):
            if number % 2:  # every other life goes on behind its restoring
                workers.feed_until_restored()
            workers.feed_for(chance.uniform(0.0, _LONGEST_S))
            workers.kill(chance.choice("01"))
        workers.feed_until_restored()
        pipeline.feed(5)
        until("every row to be answered", lambda: len(pipeline.answers()) >= pipeline.fed)
    pipeline.producer.close()
    answers, restored = pipeline.answers(), workers.logged("restored")
    print(f"{kind.__name__}: {len(answers)} answers, {len(restored)} restores")  # noqa: T201
    assert len(answers) == len({answer[:2] for answer in answers}) == pipeline.fed
    check_counts(answers)
    assert len(restored) >= len(STEPS) + _KILLS // 2, "hardly anything was ever restored: the test was too weak"
