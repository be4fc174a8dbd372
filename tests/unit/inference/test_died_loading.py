"""A model that kills its worker while it is loaded: what the next process in the slot makes of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.inference import Worker, answers, cuts, digest_of, model, rollout, specification, vectors


def worker(*died_loading: str, understudy: str = "v1") -> Worker:
    """v2 is live, v1 was before; the processes before this one died like that."""
    made = Worker(died_loading=list(map(digest_of, died_loading)))
    made.learn(specification(), model("v1"), model("v2"), rollout(1, "v1"), rollout(2, "v2", understudy=understudy))
    made.assign(p0="e=1 f=0")
    return made


def test_what_died_once_is_loaded_after_all_others() -> None:
    """So that the last good model serves, whatever becomes of this load."""
    made = worker("v2")
    made.settle()
    assert made.loads == ["v1", "v2"]


def test_what_died_twice_in_a_row_is_not_loaded_and_the_last_good_model_serves() -> None:
    """The registry reads why; partitions stay where they were, or move to the understudy when they have waited."""
    made = worker("v2", "v2")
    made.slow.add("v1")
    made.settle()
    made.finish()
    made.settle()
    assert 0 not in made.waiting
    assert made.loads == ["v1"]
    assert {answer.version for answer in answers(made.answer(*vectors(0, 0, 3)))} == {"v1"}
    assert [(verdict.epoch, verdict.verdict) for verdict in made.state.prepared] == [(2, "load_crashed")]
    assert made.state.quarantined == ()
    made.assign(p1="e=2 f=0")
    made.tick()
    made.tick(30_000)
    assert 1 not in made.waiting
    assert cuts(made.answer(*vectors(1, 0, 1))) == [(1, 0, 2, 1, "missing")]


def test_deaths_at_different_versions_bar_none() -> None:
    """Kills from outside come in series too: only the same version twice tells."""
    made = worker("v2", "v1")
    made.settle()
    assert made.loads == ["v2", "v1"]


_LOAD = """
import os, signal, sys, threading, time
from contextlib import nullcontext
from pathlib import Path
from freshet.contracts.logic import Fact
from freshet.contracts.topic_table import TopicNames
from freshet.inference.core.model_jobs import LoadModel
from freshet.inference.service import SERVICE
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.service import Context
from freshet.runtime.settings import Settings
from support.inference import FakeScorer, Worker, flight, manifest, model, rollout, sound, specification

class Bus(MemoryBus):
    def reader(self, *arguments, **keywords):
        loading.set()
        if sys.argv[2] != "stopped":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

loading = threading.Event()
cluster, names = MemoryCluster(), TopicNames("", "fraud")
cluster.ensure(names, 1)
context = Context(names, Settings(KAFKA_BOOTSTRAP_SERVERS="x", state_dir=Path(sys.argv[1])), Bus(cluster, names))
logic, run = SERVICE.logic(context), SERVICE.runner(context)
logic.fold(Fact("models", "fraud/v1", model("v1")))
print(logic._models.failure_of("v1"), flush=True)
job = LoadModel("v1", model("v1").manifest, (), 10)
beside = logic._scoring.calls._guard if sys.argv[2] == "scoring" else lambda *call: nullcontext()
with beside(flight("v0"), FakeScorer(manifest("v0"), sound("v0")), 250):
    threading.Thread(target=run, args=[job, threading.Event()], daemon=True).start()
    loading.wait(0.5)
loading.wait(30)
time.sleep(0.1 if sys.argv[2] != "stopped" else 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ends", "barred"),
    [
        (["killed", "killed"], True),
        (["killed", "stopped"], False),
        (["scoring", "scoring"], False),
        (["scoring", "scoring", "scoring"], True),
    ],
)
def test_a_process_that_is_killed_while_it_loads_leaves_a_note(tmp_path: Path, ends: list[str], barred: bool) -> None:
    """Two in a row bar the version in the third process; one that ends in good order in mid-load was no victim.

    A death beside a score call blames neither, but the next process lets no score call run beside the load.
    """
    said = [
        subprocess.run(
            [sys.executable, "-c", _LOAD, tmp_path, how],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
        ).stdout.splitlines()[-1]
        for how in [*ends, "stopped"]
    ]
    assert set(said[:-1]) == {"None"}
    assert ("load_crashed" in said[-1]) is barred
