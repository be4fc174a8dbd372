"""The demo's story: a stream is served by models that arrive as data, and nothing is lost on the way."""

import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, Final

from freshet.contracts.messages import Decision, ModelVersion, Rollout
from freshet.lab.demo import loans
from freshet.lab.demo.drift_watch import DriftWatch, alarm_line, detected, show_quality
from freshet.lab.demo.handover_waits import longest_gap_ms
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.outcome import Found, look_back
from freshet.lab.demo.stepwise import rolled_out
from freshet.lab.demo.traffic import Traffic
from freshet.lab.demo.training import Trained, train_and_pack
from freshet.lab.demo.training_watch import TrainingWatch, merits, training_plan
from freshet.lab.local_deployment import DRIFT, LocalDeployment
from freshet.ledger.epochs import champion
from freshet.models.bundle import Bundle
from freshet.operate.operate_error import LocalError
from freshet.operate.pipeline_view import View
from freshet.operate.quality.chart import lines
from freshet.operate.tables.features import feature_rows
from freshet.runtime.service import load_service, parts_of

RATE: Final = 2000.0
CORRUPT_SHARE: Final = 0.05
LABELS_AFTER: Final = 2000
"""Late enough to follow the answers on a busy machine, too: labels that do not are no measure of them."""
TRAINING_ROWS: Final = 4000
TEST_ROWS: Final = 2000
"""Applications that models are not trained on, to say how good they are."""
_BREATH_S: Final = 2.0
_CHART_COLUMNS: Final = 60
_SWITCH_EPOCH: Final = 2  # the second model's


class Story:
    """One telling. Each step is a method; the deployment's services are running when it begins."""

    def __init__(self, deployment: LocalDeployment, narrator: Narrator) -> None:
        self._deployment, self._say = deployment, narrator
        events = loans.sample(deployment.schema, TRAINING_ROWS + TEST_ROWS, seed=1)
        self._rows, self._labels = feature_rows(deployment.spec, deployment.schema, events)
        self._loans = loans.Applications(deployment.schema, seed=42)
        self._traffic: Traffic | None = None
        self._drift = DriftWatch(deployment)
        self._changed_ms = self._alarmed_ms = self._healed_ms = 0
        self._newest = ""

    def until_recovered(self) -> ModelVersion:
        """The story up to the model that learned from the change by itself; the second model, which it replaced."""
        self.begin_load()
        self.first_model()
        second = self.second_model()
        self.compare(second)
        self.change_the_world()
        self.learn_anew(second)
        self.recover()
        return second

    def begin_load(self) -> None:
        """Applications arrive, some of them broken; no model is there yet, so they wait."""
        say, deployment = self._say, self._deployment
        say.chapter("Loan applications arrive; there is no model yet")
        load = deployment.load(rate=RATE, corrupt_share=CORRUPT_SHARE, labels_after=LABELS_AFTER, seed=3)
        self._traffic = Traffic(load, self._loans)
        say.line(
            f"{RATE:,.0f} events/s, {CORRUPT_SHARE:.0%} of them damaged on purpose; labels follow "
            f"{LABELS_AFTER:,} events later"
        )
        with say.waiting("features"):
            deployment.view.wait(
                "features to be computed",
                lambda _: any(span.end for span in deployment.bus.spans("features").values()) or None,
            )
        say.line("ingestion turns them into feature vectors; inference holds them: records wait, none is dropped")

    def first_model(self) -> ModelVersion:
        """A model is trained, packed and published; the stream starts to be answered."""
        self._say.chapter("A first model is published to a topic")
        return self._publish("linear", "logistic regression")

    def second_model(self) -> ModelVersion:
        """A better model takes over under load, at a recorded offset of each partition."""
        self._say.chapter("A better model takes over under load")
        time.sleep(_BREATH_S)
        return self._publish("trees", "gradient-boosted trees")

    def compare(self, newest: ModelVersion) -> None:
        """Labels have come for the answers of both models."""
        self._say.chapter("Labels come late, and say how good each version is: freshet quality")
        with self._say.waiting("labels"):
            self._drift.wait_quality(newest.version)
            time.sleep(_BREATH_S)
            self._drift.take()
        self._say.line("share of the answers that were right, by the labels that have come so far:")
        show_quality(self._say, self._drift.quality())

    def change_the_world(self) -> None:
        """The rule that the labels follow becomes another one, and a detector finds that out."""
        say = self._say
        say.chapter("The world changes: loans are decided by another rule")
        self._drift.take()
        before = len(self._drift.alarms)
        self._loans.change_rule()
        self._changed_ms = time.time_ns() // 1_000_000
        assert self._traffic is not None
        say.line(f"so from event {self._traffic.sent.events:,} on; events and answers look as before, labels do not")
        with say.waiting("an alarm"):
            alarm = self._drift.wait_alarm(before)
        for one in detected(self._drift.alarms[before:]):
            say.line(alarm_line(one))
        places = ", ".join(f"{number}/{offset:,}" for number, offset in sorted(alarm.since.items()))
        say.line(f"these rows begin at (partition/offset of the features) {places}")
        self._alarmed_ms = alarm.at_ms

    def learn_anew(self, rival: ModelVersion) -> None:
        """Retraining answers the alarm: a model learns from what came since the change, and takes over by itself."""
        say, deployment = self._say, self._deployment
        say.chapter("Nobody does anything: the alarm becomes a new model")
        with closing(TrainingWatch(deployment)) as trainings:
            with say.waiting("enough labels of the new rule"):
                begun = trainings.wait_begun(0).last
            say.line(training_plan(begun))
            with say.waiting("labels"):
                self._drift.wait_quality(rival.version, self._changed_ms)
                self._drift.take()
            say.line(f"meanwhile {rival.version} answers, and of what was asked since the change this is right:")
            show_quality(say, self._drift.quality(self._changed_ms))
            say.line(
                f"it learns in a process of its own, in ten seconds to a minute; the stream goes on meanwhile, and "
                f"{rival.version} answers it"
            )
            with say.waiting("the training"):
                run = trainings.wait_done(begun.training)
        say.line(f"it took {run.last.cpu_ms / 1000:.1f} s of CPU; {merits(run)}")
        for clause in run.last.clauses:
            say.line(f"gate: {clause}")
        if not rolled_out(run):
            raise LocalError(f"training {run.last.training} led to no model that may answer: {run.outcome}")
        with say.waiting("the rollout"):
            rollout = deployment.wait_live(run.version)
        since_s = (time.time_ns() // 1_000_000 - self._alarmed_ms) / 1000
        say.line(f"epoch {rollout.epoch} is live: {run.version} answers, {since_s:.1f} s after the alarm")
        self._show_cut(rollout)
        self._newest, self._healed_ms = run.version, time.time_ns() // 1_000_000

    def recover(self) -> None:
        """Labels say that the new model knows the new rule."""
        self._say.chapter("Labels say that the new model knows the new rule")
        with self._say.waiting("labels"):
            self._drift.wait_quality(self._newest, self._healed_ms)
            time.sleep(_BREATH_S)
            self._drift.take()
        self._say.line(f"of what was asked since {self._newest} answers, this is right:")
        show_quality(self._say, self._drift.quality(self._healed_ms))
        for line in lines(self._drift.quality(), _CHART_COLUMNS):
            self._say.text(f"           {line}")
        self._drift.close()

    def kill_workers(self) -> None:
        """Two workers die by SIGKILL in the middle of their work."""
        say, deployment = self._say, self._deployment
        say.chapter("A worker is killed in the middle of its work, and drift's services too")
        victim = deployment.inference[0]
        began, since_ms = time.monotonic(), time.time_ns() // 1_000_000
        pid = deployment.supervisor.kill(victim)
        say.line(f"SIGKILL to {victim} (pid {pid}): no goodbye, its open transaction is left behind")
        say.line(f"SIGKILL to {DRIFT} (pid {deployment.supervisor.kill(DRIFT)})")
        with say.waiting(f"{victim} to serve again"):
            deployment.wait_answering(victim, since_ms)
        say.line(
            f"back in its slot and answering {time.monotonic() - began:.1f} s later; what was half done was aborted, "
            "and is answered again, once"
        )
        with say.waiting(f"{DRIFT} to be back"):
            for part in parts_of(load_service("drift")):
                deployment.wait_beating(part.name, since_ms)
        say.line(f"{DRIFT} is back {time.monotonic() - began:.1f} s later, and goes on from its state on the topics")

    def bad_model(self) -> None:
        """A model that answers NaN is refused, and nobody ever asks it."""
        self._say.chapter("Somebody publishes a broken model")
        bundle = _damaged(self._train("linear").bundle)
        verdict = self._deployment.offer(bundle.data, bundle.manifest)
        self._say.line(f"{verdict.state}: {verdict.reason}")
        self._say.line(f"version {self._deployment.view.ledger.epochs.serving} keeps answering")

    def roll_back(self, to: ModelVersion) -> None:
        """An operator goes back to the model before."""
        say, deployment = self._say, self._deployment
        say.chapter("An operator rolls back")
        before = deployment.view.ledger.epochs.serving
        decision = deployment.ask("rollback", text="the demo wants to see it")
        say.line(f"rollback: {decision.verdict} ({decision.reason})")
        with say.waiting("the rollout"):
            rollout = deployment.wait_live(to.version)
        self._show_cut(rollout)
        say.line(f"{before} → {champion(rollout)}: a rollback is a new epoch that names an old version")

    def judge(self) -> Found:
        """The load stops; what is on the topics is judged, and shown."""
        say, deployment = self._say, self._deployment
        say.chapter("The load stops, and the topics are judged: freshet verify")
        assert self._traffic is not None
        sent = self._traffic.stop()
        corrupted = sum(sent.corrupted.values())
        say.line(f"{sent.events:,} events were sent ({corrupted:,} of them damaged) and {sent.labels:,} labels")
        with say.waiting("the rest to be answered"):
            deployment.wait_drained()
            deployment.wait_evaluated()
        gap_ms = longest_gap_ms(deployment.bus, _SWITCH_EPOCH)
        say.line(f"when the second model took over, no partition waited longer than {gap_ms} ms between two answers")
        return look_back(say, deployment)

    def _publish(self, kind: str, title: str) -> ModelVersion:
        say, deployment = self._say, self._deployment
        trained = self._train(kind)
        bundle, size_kib = trained.bundle, trained.bundle.manifest.size_bytes / 1024
        merit = trained.merit(self._rows[TRAINING_ROWS:], self._labels[TRAINING_ROWS:])
        right = f"trained on {TRAINING_ROWS:,} applications, {merit} on {TEST_ROWS:,} others"
        say.line(f"{title}, {right}; {size_kib:,.0f} KiB of ONNX, published")
        with say.waiting("admission and rollout"):
            verdict = deployment.offer(bundle.data, bundle.manifest)
            say.line(verdict.reason)
            deployment.ask("promote", verdict.version, text="no gate has judged it: it comes from elsewhere")
            rollout = deployment.wait_live(verdict.version)
            decided = deployment.view.wait("the registry's decision", partial(_decision_on, rollout.epoch))
        say.line(decided.reason)
        self._show_cut(rollout)
        return verdict

    def _train(self, kind: str) -> Trained:
        return train_and_pack(kind, self._rows[:TRAINING_ROWS], self._labels[:TRAINING_ROWS], self._deployment.spec)

    def _show_cut(self, rollout: Rollout) -> None:
        with self._say.waiting("the cut-over"):
            cuts = self._deployment.wait_cut(rollout.epoch)
        places = ", ".join(f"{partition}/{offset:,}" for partition, offset in cuts.items())
        self._say.line(f"from these places on (partition/offset) {champion(rollout)} answers: {places}")


def _decision_on(epoch: int, view: View) -> Decision | None:
    return next((found for found in view.decisions if found.epoch == epoch), None)


def _damaged(bundle: Bundle) -> Bundle:
    """The same model with one weight that is not a number, and an honest manifest of those bytes."""
    import onnx  # noqa: PLC0415 - only here, and heavy

    graph = onnx.load_from_string(bundle.data)
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name == "coefficients":
                attribute.floats[0] = float("nan")
    return rebuilt(bundle, graph.SerializeToString())


def rebuilt(bundle: Bundle, data: bytes) -> Bundle:
    """A bundle with other bytes and a manifest that fits them."""
    from freshet.models.artifact import digest_of, split  # noqa: PLC0415

    changed: dict[str, Any] = {
        "digest": digest_of(data),
        "size_bytes": len(data),
        "chunk_digests": tuple(map(digest_of, split(data))),
    }
    return replace(bundle, data=data, manifest=bundle.manifest.model_copy(update=changed))
