"""A whole Freshet under load on a real Kafka, what is done to it, and what must be true in the end."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

from freshet.contracts.messages import ModelVersion
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.traffic import Traffic
from freshet.lab.load import Sent
from freshet.lab.local_deployment import LocalDeployment
from freshet.models.bundle import Bundle
from freshet.operate.alarm_log import told
from freshet.operate.pipeline_view import View
from freshet.operate.verify.collect import collect
from freshet.operate.verify.judge import Judgement, judge
from freshet.operate.verify.judging import judged
from freshet.operate.verify.retraining.training_judge import judge_retraining
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.protocol import RetriableError
from freshet.runtime.reading import everything

T = TypeVar("T")
STEPS: Final = ("begun", "produced", "offsets_sent", "committed")
_OUTPUTS: Final = ("features", "labels", "predictions", "dead-letters")
_PATIENCE_S: Final = 180.0
_POLL_S: Final = 0.1
_READS: Final = {
    "ingestion": (("ingestion", "events"),),
    "inference": (("inference", "features"),),
    "drift": (("drift-join", "predictions"), ("drift-evaluate", "outcomes"), ("drift-detect", "outcomes")),
}
"""By process, its services and an input of each."""

# The first start is armed; the supervisor starts the process again without.
_ARMED: Final = 'test -e "$1" || { : > "$1"; export FRESHET_FAILPOINT="$2"; }; shift 2; exec "$@"'


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended: what was judged, and how hard it was."""

    judgement: Judgement
    sent: Sent
    aborted: int
    """Records of transactions that never became visible, over all output topics."""
    logged: Mapping[str, int]
    """How often each thing was logged, over all services."""


class Trial:
    """One pipeline with its services as supervised processes, under load from `start` on."""

    def __init__(
        self,
        kafka: str,
        namespace: str,
        folder: Path,
        *,
        workers: Sequence[str] = ("inference-0", "inference-1"),
        drift: Sequence[str] = (),
        retraining: str = "",
        rate: float = 600.0,
        labels_after: int = 200,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`env` is added to the environment of all services; `drift` are processes of drift's, judged at the end.

        A label comes so many events later as `labels_after` says, and at the latest at the end. With a `retraining`
        section, retraining runs too, and rollouts are `gated`.
        """
        self._kafka, self._folder, self._rate, self._labels_after = kafka, folder, rate, labels_after
        self.workers, self.drift, self.gated = tuple(workers), tuple(drift), bool(retraining)
        pipeline = _with_retraining(folder, retraining) if retraining else pipelines_dir() / "loans"
        self.stage = LocalDeployment(kafka, namespace, pipeline, folder / "logs")
        self._env = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "FRESHET_NAMESPACE": namespace,
            "FRESHET_STATE_DIR": str(folder / "state"),
            **(env or {}),
        }
        self._traffic: Traffic | None = None
        self.kills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._traffic is not None and self._traffic.running:
            self._traffic.stop()
        self.stage.close()

    def start(self, model: Bundle) -> None:
        """Topics, services, a model that answers, and load on all partitions."""
        self.stage.apply()
        for name in ("registry", "ingestion-0", *self.workers, *self.drift, *(["retraining"] if self.gated else [])):
            self.run(name)
        load = self.stage.load(
            rate=self._rate,
            corrupt_share=0.02,
            labels_after=self._labels_after,
            seed=7,
        )
        self._applications = loans.Applications(self.stage.schema, seed=11)
        self._traffic = Traffic(load, self._applications)
        self.roll_out(model)

    def roll_out(self, model: Bundle) -> ModelVersion:
        """Offer a model and wait until it answers on every partition."""
        verdict = self.stage.offer(model.data, model.manifest)
        if self.gated:  # nobody has judged it by a gate
            self.stage.ask("promote", verdict.version)
        rollout = self.stage.wait_live(verdict.version)
        self.stage.wait_cut(rollout.epoch)
        return verdict

    def change_concept(self) -> None:
        """From now on applications are decided by another rule, which no model knows."""
        self._applications.change_rule()

    # What is done to it

    def run(self, name: str, *flags: str, failpoint: str = "") -> None:
        """Start a service, named `service` or `service-slot`; with a failpoint, it gets the signal there once."""
        service, _, slot = name.partition("-")
        pipelines = [] if service in {"registry", "retraining"} else ["--pipelines", self.stage.spec.pipeline]
        command = [sys.executable, "-m", "freshet.cli", "run", service, "--slot", slot or "0", *pipelines, *flags]
        if failpoint:
            flag = self._folder / f"{name}.{failpoint}"
            command = ["sh", "-c", _ARMED, "sh", str(flag), failpoint, *command]
        self.stage.supervisor.start(name, command, self._env)

    def die_at(self, name: str, failpoint: str) -> None:
        """Let a service die by SIGKILL at a step such as `offsets_sent:3` under load, and come back in its slot."""
        supervisor = self.stage.supervisor
        supervisor.stop(name)
        self.run(name, failpoint=failpoint)
        until(f"{name} to die at {failpoint}", lambda: supervisor.restarts(name) == 1)
        self.kills += 1
        self.wait_progress(name.partition("-")[0])

    def kill(self, name: str) -> None:
        """SIGKILL; the supervisor starts it again at once."""
        self.stage.supervisor.kill(name)
        self.kills += 1

    def send_signal(self, name: str, what: signal.Signals) -> None:
        """Send a signal to the process that runs now."""
        pid = self.stage.supervisor.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, what)

    def wipe(self) -> None:
        """Kill all services and delete whatever they have on this machine, then start them again."""
        services = ("registry", "ingestion-0", *self.workers)
        for name in services:
            self.send_signal(name, signal.SIGKILL)
            self.kills += 1
            self.stage.supervisor.stop(name)
        for folder in ("state", "logs"):
            shutil.rmtree(self._folder / folder)
        for name in services:
            self.run(name)

    # What is waited for

    def wait_progress(self, service: str) -> None:
        """Wait until a service has committed something new on every partition."""

        def offsets() -> dict[tuple[str, int], int]:
            committed = {part: self.stage.committed(part, role) for part, role in _READS[service]}
            return {(part, number): at.offset for part, found in committed.items() for number, at in found.items()}

        before: dict[tuple[str, int], int] = {}

        def gone_on() -> bool:
            before.update(before or offsets())
            return all(now > before.get(place, 0) for place, now in offsets().items())

        until(f"{service} to go on", gone_on)

    def wait_asleep(self, name: str) -> None:
        """Wait until a process that runs with a failpoint has stopped itself there."""
        stat = Path(f"/proc/{self.stage.supervisor.pid(name)}/stat")
        until(f"{name} to fall asleep", lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")

    def wait_sent(self, events: int) -> None:
        """Wait until so many events were sent."""
        assert self._traffic is not None
        traffic = self._traffic
        until(f"{events} events to be sent", lambda: traffic.sent.events >= events, patience_s=120)

    def stop_load(self) -> None:
        """Send no more events, and at once all labels that were to come later."""
        assert self._traffic is not None
        self._traffic.stop()

    def wait_alarm(self) -> None:
        """Wait until detection has found that the world is another."""
        until("an alarm", lambda: bool(told(self.stage.bus, self.stage.spec.pipeline)), patience_s=120)

    def wait_owned(self, name: str, partitions: int) -> None:
        """Wait until a worker has reported, from now on, that it owns at least so many partitions."""
        instance = self.stage.names.worker("inference", name.partition("-")[2])
        now_ms = time.time_ns() // 1_000_000

        def owned(view: View) -> bool:
            beat = view.ledger.workers.beats.get(instance)
            return beat is not None and beat.timestamp_ms > now_ms and len(beat.worker.partitions) >= partitions

        self.stage.view.wait(f"{name} to own {partitions} partitions", owned)

    def log(self, name: str) -> str:
        """All that a service has logged so far."""
        return (self._folder / "logs" / f"{name}.log").read_text(errors="replace")

    def logged(self, name: str = "*") -> dict[str, int]:
        """How often the services, or one of them, have logged each event."""
        found: dict[str, int] = {}
        for log in (self._folder / "logs").glob(f"{name}.log"):
            for line in log.read_text(errors="replace").splitlines():
                entry = json.loads(line) if line.startswith("{") else {}
                if entry and entry.get("logger") != "freshet.kafka":
                    found[entry["event"]] = found.get(entry["event"], 0) + 1
        return found

    def end(self) -> Outcome:
        """Stop the load, let the rest be answered, and judge: no breach, nothing pending, nothing unsent."""
        assert self._traffic is not None
        sent = self._traffic.stop()
        self.stage.wait_drained()
        found = answered(self._judged)
        broken = [finding for finding in found.findings if not finding.ok]
        assert not broken, broken
        assert found.under_way == 0
        looked_at = {finding.check: finding.looked_at for finding in found.findings}
        assert looked_at["no event is lost"] == sent.events
        assert looked_at["no feedback record is lost"] == sent.labels
        outcome = Outcome(found, sent, answered(self._aborted), self.logged())
        print(  # noqa: T201 - what a run was made of is its result
            f"{sent.events} events, {found.answered} predictions, {found.dead} dead letters, {outcome.aborted} aborted "
            f"records, {self.kills} kills, logged {outcome.logged}, 0 breaches"
        )
        return outcome

    def _judged(self) -> Judgement:
        """As `freshet verify` does, which takes its time over drift, once drift's services have read everything."""
        if not self.drift:
            return judge(collect(self.stage.bus, self.stage.spec.pipeline, self.stage.committed))
        inputs = (*_READS["drift"], ("drift-join", "labels"))
        until("drift to catch up", lambda: not any(self.stage.unread(service, role) for service, role in inputs))
        if self.gated:
            until(
                "retraining to answer all",
                lambda: not judge_retraining(self.stage.bus, self.stage.spec.pipeline).pending,
            )
        return judged(self.stage.bus, self.stage.admin, self.stage.names)

    def _aborted(self) -> int:
        """What a read_uncommitted consumer sees of the outputs beyond what a read_committed one does."""
        raw = KafkaBus(self._kafka, self.stage.names, extra={"isolation.level": "read_uncommitted"})
        return sum(
            sum(map(len, everything(raw, role))) - sum(map(len, everything(self.stage.bus, role))) for role in _OUTPUTS
        )


def _with_retraining(folder: Path, section: str) -> Path:
    """The pipeline of loans with this section."""
    copy = shutil.copytree(pipelines_dir() / "loans", folder / "loans")
    text = (copy / "pipeline.yaml").read_text()
    assert "policy: immediate" in text
    (copy / "pipeline.yaml").write_text(text.replace("policy: immediate", "policy: gated") + section)
    return copy


def answered(ask: Callable[[], T]) -> T:
    """What a tool says that reads much at once: one that met a change of leaders is asked again."""
    found: list[T] = []

    def asked() -> bool:
        found.append(ask())
        return True

    until("an answer", asked)
    return found[0]


def until(what: str, holds: Callable[[], object], patience_s: float = _PATIENCE_S) -> None:
    """Ask again until it holds; a broker that does not answer is asked again, too."""
    deadline = time.monotonic() + patience_s
    while True:
        with suppress(RetriableError):
            if holds():
                return
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s in vain for {what}"
        time.sleep(_POLL_S)
