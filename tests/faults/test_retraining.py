"""Retraining at work under load: whoever is killed, each occasion has one answer, and each training one model."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Command
from freshet.contracts.training_message import Training
from freshet.lab.broker import kill, up, wipe
from freshet.models.bundle import Bundle
from freshet.operate.facts import read
from freshet.operate.verify.retraining.row_numbers import row_numbers
from freshet.runtime.bus.protocol import Send
from support.faults import Outcome, Trial, until

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(900)]

_SECTION: Final = """
retraining:
  trainer: {kind: logistic-regression}
  max_rows: 3000
  min_rows: 100
  gate: [{metric: accuracy, not_worse_by: 0.5}]
"""
_RATE: Final = 200.0
_ROWS: Final = 2_500
"""So many rows come before anybody asks. What waited for the first model had its label before it was answered: nothing
is tried on that."""
_PATIENCE_S: Final = 300.0  # a hang, not a slow machine: a training took 90 s where a dozen processes shared a core
# never kill a Kafka that is not our own
_ENVIRON: Final = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}


class Loop:
    """A trial in which people ask for models."""

    def __init__(self, trial: Trial, model: Bundle) -> None:
        self.trial, self.asked = trial, 0
        trial.start(model)
        trial.wait_progress("drift")
        rows = row_numbers(trial.stage.bus, "loans").rows
        until("labels to be joined", lambda: row_numbers(trial.stage.bus, "loans").rows > rows + _ROWS, _PATIENCE_S)

    def ask(self) -> str:
        """`freshet retrain`."""
        self.asked += 1
        name, stage = f"c{self.asked}", self.trial.stage
        asked = Command(
            command_id=name, pipeline=stage.spec.pipeline, action="retrain", expires_at_ms=2**50, by="ann@host"
        )
        stage.producer.send(Send("commands", [stage.spec.pipeline.encode()], [encode(asked)]))
        return name

    def told(self, name: str) -> list[Training]:
        """All records of the training that somebody asked for."""
        found = [fact.message for fact in read(self.trial.stage.bus, "trainings")]  # leaves out what strangers wrote
        return [record for record in found if isinstance(record, Training) and record.trigger_id == name]

    def kill_child(self, name: str) -> bool:
        """SIGKILL to the process that trains the model; False while there is none."""
        assert len(self.told(name)) < 2, self.told(name)
        child = child_of(self.trial.stage.supervisor.pid("retraining") or 0)
        if child is not None:
            os.kill(child, signal.SIGKILL)
        return child is not None

    def wait_begun(self, name: str) -> None:
        """Until its start is told."""
        until(f"the training for {name} to begin", lambda: bool(self.told(name)), _PATIENCE_S)

    def wait_ended(self, name: str) -> Training:
        """Until its end is told."""
        found: list[Training] = []

        def ended() -> bool:
            found[:] = [record for record in self.told(name) if record.phase != "started"]
            return bool(found)

        until(f"the training for {name} to end", ended, _PATIENCE_S)
        return found[0]

    def wait_answering(self, name: str) -> str:
        """Until the model that somebody asked for answers on all partitions; its version."""
        record = self.wait_ended(name)
        assert (record.phase, record.gate) == ("finished", "pass"), record
        ledger = self.trial.stage.view.ledger

        def version() -> str:
            self.trial.stage.view.wait("the view", lambda _: True)
            known = ledger.versions.records.values()
            return next((one.version for one in known if one.manifest.digest == record.digest), "")

        until(f"the model for {name} to be admitted", lambda: bool(version()), _PATIENCE_S)
        rollout = self.trial.stage.wait_live(version(), _PATIENCE_S)
        self.trial.stage.wait_cut(rollout.epoch, _PATIENCE_S)
        return version()

    def end(self) -> Outcome:
        """Each command has one answer; no breach of anything."""
        outcome = self.trial.end()
        for number in range(1, self.asked + 1):
            phases = [record.phase for record in self.told(f"c{number}")]
            assert phases in (["started", "finished"], ["started", "failed"], ["skipped"]), phases
        found = {finding.check: finding for finding in outcome.judgement.findings if finding.promise == "retraining"}
        print({check: finding.looked_at for check, finding in found.items()})  # noqa: T201 - a run's result
        assert found["models learned from the rows before their watermark"].looked_at
        return outcome


def child_of(pid: int) -> int | None:
    """The process in which retraining trains a model now: one of its own, or one that its fork server made."""
    servers, found = {pid}, None
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"training_child" in command and parent in servers:
            if parent == pid and b"freshet.models.forking" in command:
                servers.add(int(folder.name))
            else:
                found = int(folder.name)
    return found


def test_killed_at_every_step_of_a_training(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """It dies in the transaction of a start, and in that of an end; its successor goes on with the same rows."""
    loop = Loop(trial(drift=("drift-0",), retraining=_SECTION, rate=_RATE), models[0])
    here, supervisor = loop.trial, loop.trial.stage.supervisor
    for failpoint in ("produced:1", "committed:1", "produced:2", "committed:2"):  # first the start, then the end
        supervisor.stop("retraining")
        here.run("retraining", failpoint=failpoint)
        name = loop.ask()
        until(f"retraining to die at {failpoint}", lambda: supervisor.restarts("retraining") == 1, _PATIENCE_S)
        assert loop.wait_ended(name).phase == "finished"
    loop.wait_answering(loop.ask())
    loop.end()


def test_everybody_is_killed_in_the_middle_of_a_training_and_of_its_publish(
    trial: Callable[..., Trial], models: list[Bundle]
) -> None:
    """The child that trains, retraining, registry and workers: the model that was asked for answers in the end."""
    loop, chance = Loop(trial(drift=("drift-0",), retraining=_SECTION, rate=_RATE), models[0]), Random(3)
    here = loop.trial

    name = loop.ask()
    until("the child to train", lambda: loop.kill_child(name), _PATIENCE_S)
    loop.wait_answering(name)
    assert here.logged("retraining")["job_failed"] == 1

    for victim in ("retraining", "registry", "inference-0"):
        name = loop.ask()
        loop.wait_begun(name)
        time.sleep(chance.uniform(0.5, 3.0))
        here.kill(victim)
        loop.wait_answering(name)
    loop.end()


def test_two_processes_of_retraining_at_once(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """The younger fences the older, which comes back and fences it: one answer each, one model each."""
    loop = Loop(trial(drift=("drift-0",), retraining=_SECTION, rate=_RATE), models[0])
    here, supervisor = loop.trial, loop.trial.stage.supervisor
    names: list[str] = []

    def fenced(more_than: int) -> bool:
        return sum(supervisor.restarts(one) for one in ("retraining", "retraining-b")) > more_than

    for _ in range(2):
        restarts_before = supervisor.restarts("retraining")
        here.run("retraining-b")
        until("the second process to log", lambda: bool(here.log("retraining-b")), _PATIENCE_S)
        time.sleep(5.0)  # it takes over
        names.append(loop.ask())
        until("one of them to be fenced", partial(fenced, restarts_before), _PATIENCE_S)
        supervisor.stop("retraining-b")
        loop.wait_answering(names[-1])
    loop.end()


def test_a_worker_that_was_away_and_strangers_records(trial: Callable[..., Trial], models: list[Bundle]) -> None:
    """A worker misses two models, and whatever others wrote on the topics of models: back, it serves the newest."""
    loop = Loop(trial(drift=("drift-0",), retraining=_SECTION, rate=_RATE), models[0])
    here, stage = loop.trial, loop.trial.stage
    stage.supervisor.stop("inference-1")
    torn = encode(Command(command_id="t", pipeline="loans", action="pause", expires_at_ms=1, by="t"))[:9]
    for role in ("candidates", "models", "rollouts", "artifacts", "commands", "pipelines", "alarms", "trainings"):
        for value in (b"whatever", torn):
            stage.producer.send(Send(role, [b"stranger"], [value]))
    for _ in range(2):
        loop.wait_answering(loop.ask())
    here.run("inference-1")
    here.wait_owned("inference-1", 1)
    here.wait_progress("inference")
    refused = here.logged("registry").get("control_record_refused", 0)
    assert refused >= 3, here.logged("registry")
    assert here.logged("retraining").get("control_record_refused", 0) >= 3
    loop.end()


def test_a_broker_that_dies_while_a_model_is_trained_and_published(
    namespace: str, models: list[Bundle], tmp_path: Path
) -> None:
    """All connections are cut, at any moment between the start that is told and the model that answers."""
    root, chance = tmp_path / "broker", Random(5)
    address = up(root, say=print, environ=_ENVIRON).bootstrap_servers
    try:
        with Trial(address, namespace, tmp_path, drift=("drift-0",), retraining=_SECTION, rate=_RATE) as here:
            loop = Loop(here, models[0])
            for longest_s in (2.0, 4.0, 6.0):
                name = loop.ask()
                loop.wait_begun(name)
                time.sleep(chance.uniform(0.0, longest_s))
                kill(root)
                up(root, say=print, environ=_ENVIRON)
                loop.wait_answering(name)
            loop.end()
    finally:
        wipe(root, environ=_ENVIRON)
