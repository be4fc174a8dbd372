"""From a published model to its first answer, and from a label to the first answer of a model that learned from it.

All services, one process each, policy `immediate`; 200 events/s, each labelled at once. First graphs of about 0.5 MB
are published; then trainings are asked for. Each step is read from the timestamps of the records that end it, so that
nothing is added to what is measured. Prints medians; writes .local/bench-publish.json.
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import onnx
from sklearn.ensemble import HistGradientBoostingClassifier

from bench.bench_services import WIDTH, Bench, cpu_s
from freshet.avro import Strings
from freshet.avro.control import decode
from freshet.contracts.messages import Candidate, Manifest, ModelVersion, Outcomes, Rollout, WorkerState
from freshet.contracts.training_message import Training
from freshet.lab import broker
from freshet.lab.local_deployment import DRIFT
from freshet.models.artifact import digest_of, split
from freshet.models.bundle import Bundle
from freshet.models.packing import pack
from freshet.operate import commands
from freshet.operate.pipeline_view import View
from freshet.operate.tables.events import Events
from freshet.operate.training_runs import TRAINING
from freshet.runtime.artifacts import publish_model
from freshet.runtime.feed import Feed
from freshet.runtime.reading import everything

_RATE = 200
_TREES = 230
_BETWEEN_S = 2.0
STEPS = ("chunks and candidate", "judged", "prepare", "prepared", "live", "cut over", "first answer")


def main() -> None:
    """Publish several models in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=7)
    parser.add_argument("--trees", type=int, default=_TREES)
    arguments = parser.parse_args()
    servers = broker.up(Path.cwd(), say=print).bootstrap_servers
    bench = Publishing(servers, f"publish{int(time.time()) % 1_000_000}.")
    try:
        with bench.loaded():
            found = {
                "from publishing to answering": bench.publishes(arguments.models, arguments.trees),
                "from the last label to answering": bench.trainings(arguments.models),
            }
    finally:
        bench.close()
    report(found)


def report(found: dict[str, list[dict[str, float]]]) -> None:
    """Print the tables and keep them as JSON."""
    for title, rows in found.items():
        print(f"\n{title}, in ms; {len(rows)} models; median, least, most")  # noqa: T201
        for name in rows[0]:
            values = [row[name] for row in rows]
            print(f"{name:<36}{statistics.median(values):10.0f}{min(values):10.0f}{max(values):10.0f}")  # noqa: T201
    Path(".local").mkdir(exist_ok=True)
    Path(".local/bench-publish.json").write_text(json.dumps(found, indent=2) + "\n")


class Publishing(Bench):
    """A whole Freshet with a steady load, to which models are published."""

    def __init__(self, bootstrap_servers: str, namespace: str) -> None:
        super().__init__(bootstrap_servers, namespace, events=0)
        self._publish_logreg()
        self.run("ingestion-0")
        self.run("inference-0")
        self.run(DRIFT)
        self.view.wait("a model to be live", lambda view: view.ledger.epochs.live)
        self.wait_answering("inference-0", since_ms=0)

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """While events and their labels come."""
        enough = threading.Event()
        sender = threading.Thread(target=self._send_until, args=(enough,), daemon=True)
        sender.start()
        try:
            yield
        finally:
            enough.set()
            sender.join()

    def publishes(self, models: int, trees: int) -> list[dict[str, float]]:
        """What each of so many publishes took."""
        bundles = self._forests(models, trees)
        began = [self._published(bundle) for bundle in bundles]
        return [self._steps(bundle.manifest, *when) for bundle, when in zip(bundles, began, strict=True)]

    def trainings(self, models: int) -> list[dict[str, float]]:
        """What each of so many trainings took, after a first one, which makes the process that others are forked of."""
        self.run("retraining")
        return [self._trained() for _ in range(models + 1)][1:]

    def _trained(self) -> dict[str, float]:
        asked = commands.command(self.spec.pipeline, "retrain", expires_ms=60_000)
        commands.publish(self.producer, asked)
        with closing(Feed(self.bus.reader(["trainings"]))) as feed:
            told: dict[str, Training] = {}
            while "finished" not in told:
                for fact in feed.facts(0.1):
                    match fact.message:
                        case Training(trigger_id=asked.command_id, phase=phase) as record:
                            assert phase in ("started", "finished"), record.reason
                            told[phase] = record
        done = told["finished"]
        model = self.view.wait("a version", lambda view: _version_of(view, done.training))
        self.wait_live(model.version)
        time.sleep(_BETWEEN_S)
        label_ms, ends = self._last_label(done.through), self._ends(model.manifest)
        return {
            "last label -> training": told["started"].at_ms - label_ms,
            "training": ends["chunks and candidate"] - told["started"].at_ms,
            "candidate -> live": ends["live"] - ends["chunks and candidate"],
            "last label -> first answer": ends["first answer"] - label_ms,
            "the same without the training": ends["first answer"]
            - label_ms
            - (ends["chunks and candidate"] - told["started"].at_ms),
            "rows learned from": done.rows,
            "CPU of the training": done.cpu_ms,
        }

    def _last_label(self, through: int) -> int:
        """When the newest label up to this record of the labelled log was appended."""
        newest_ms = 0
        for batch in everything(self.bus, "outcomes"):
            for offset, value in zip(batch.offsets.tolist(), batch.values, strict=True):
                record = decode("outcomes", value or b"")
                assert isinstance(record, Outcomes)
                if offset <= through and record.rows:
                    newest_ms = max(newest_ms, int(np.frombuffer(record.labelled_ms, "<i8").max()))
        return newest_ms

    def _send_until(self, enough: threading.Event) -> None:
        for _ in self.load(rate=_RATE, labels_after=0).publish(self._labelled(enough)):
            pass

    def _labelled(self, enough: threading.Event) -> Iterator[Events]:
        for number in count():
            if enough.is_set():
                return
            names = {name: Strings.from_list([f"{name}{number}"]) for name in ("event_id", "entity")}
            numbers = self._random.normal(size=WIDTH)
            columns = {f"x{at}": numbers[at : at + 1] for at in range(WIDTH)}
            yield Events({**names, **columns}, ["yes" if numbers[0] > 0 else "no"])

    def _forests(self, models: int, trees: int) -> list[Bundle]:
        """The same trees several times, in files that differ: each is a model of its own."""
        draw = np.random.default_rng(0)
        rows = draw.normal(size=(4000, WIDTH)).astype(np.float32)
        names = np.where(rows[:, 0] + draw.normal(size=4000) > 0, "yes", "no")
        model = HistGradientBoostingClassifier(max_iter=trees, random_state=0, early_stopping=False)
        packed = pack(model.fit(rows, names), rows[:500], self.spec).bundle
        return [_marked(packed, number) for number in range(models)]

    def _published(self, bundle: Bundle) -> tuple[int, dict[str, float]]:
        """When it began, and the CPU that it took of each process until some seconds after it went live."""
        pids = {name: self.supervisor.pid(name) for name in ("registry", "inference-0")}
        before = {name: cpu_s(pid) or 0.0 for name, pid in pids.items() if pid is not None}
        at_ms = time.time_ns() // 1_000_000
        publish_model(self.producer, bundle.data, bundle.manifest)
        version = self.view.wait("a verdict", lambda view: view.ledger.versions.verdict(bundle.manifest)).version
        self.wait_live(version)
        time.sleep(_BETWEEN_S)
        after = {name: cpu_s(pid) or 0.0 for name, pid in pids.items() if pid is not None}
        return at_ms, {name: 1000 * (after[name] - before[name]) for name in before}

    def _steps(self, manifest: Manifest, began_ms: int, cpu_ms: dict[str, float]) -> dict[str, float]:
        ends = self._ends(manifest)
        moments = [began_ms, *(ends[name] for name in STEPS)]
        found = {name: float(ends[name] - before) for name, before in zip(STEPS, moments[:-1], strict=True)}
        whole = {"publish -> live": ends["live"] - began_ms, "publish -> first answer": ends["first answer"] - began_ms}
        return {**found, **whole, "size KB": manifest.size_bytes / 1024, **{f"CPU {n}": v for n, v in cpu_ms.items()}}

    def _ends(self, manifest: Manifest) -> dict[str, int]:
        """By step the timestamp of the record that ends it."""
        ends: dict[str, int] = {}
        version, epoch = "", 0
        for role in ("candidates", "models", "rollouts", "workers", "cutovers"):
            for batch in everything(self.bus, role):
                for at_ms, value in zip(batch.timestamps_ms.tolist(), batch.values, strict=True):
                    match value and decode(role, value):
                        case Candidate(manifest=found) if found.digest == manifest.digest:
                            ends["chunks and candidate"] = at_ms
                        case ModelVersion(manifest=found) as record if found.digest == manifest.digest:
                            version = version or record.version
                            ends.setdefault("judged", at_ms)
                        case Rollout(phase=phase) as record if record.table and record.table[0].version == version:
                            epoch = record.epoch
                            ends["prepare" if phase == "prepare" else "live"] = at_ms
                        case WorkerState() as worker if any(one.epoch == epoch for one in worker.prepared):
                            ends.setdefault("prepared", at_ms)
                        case cut if cut and getattr(cut, "epoch", 0) == epoch and role == "cutovers":
                            ends.setdefault("cut over", at_ms)
        ends["first answer"] = self._first_answer(version)
        return ends

    def _first_answer(self, version: str) -> int:
        """When the first answer of this version was appended."""
        name = version.encode()
        found: list[int] = [
            at_ms
            for batch in everything(self.bus, "predictions")
            for at_ms, value in zip(batch.timestamps_ms.tolist(), batch.values, strict=True)
            if name in (value or b"")
        ]
        return min(found)


def _marked(packed: Bundle, number: int) -> Bundle:
    """The same model in other bytes."""
    graph = onnx.load_model_from_string(packed.data)
    graph.doc_string = str(number)
    data = graph.SerializeToString()
    changes = {
        "digest": digest_of(data),
        "size_bytes": len(data),
        "chunk_digests": tuple(map(digest_of, split(data, packed.manifest.chunk_bytes))),
    }
    return Bundle(packed.manifest.model_copy(update=changes), data)


def _version_of(view: View, training: str) -> ModelVersion | None:
    """What became of a training's candidate."""
    records = view.ledger.versions.records.values()
    return next((record for record in records if record.manifest.lineage.get(TRAINING) == training), None)


if __name__ == "__main__":
    main()
