"""From a published model to its first answer, step by step: what each step of a rollout takes on this machine.

One ingestion process, one inference worker and the registry, policy `immediate`; 200 events/s; a graph of about 0.5 MB.
Each step is read from the timestamps of the records that end it, so that nothing is added to what is measured. Prints
medians of several publishes; writes .local/bench-publish.json.
"""

import argparse
import json
import statistics
import threading
import time
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from bench.bench_services import WIDTH, Bench, cpu_s
from freshet.avro.control import decode
from freshet.contracts.messages import Candidate, Manifest, ModelVersion, Rollout, WorkerState
from freshet.lab import broker
from freshet.models.bundle import Bundle
from freshet.models.packing import pack
from freshet.runtime.artifacts import publish_model
from freshet.runtime.reading import everything

_RATE = 200
_TREES = 90
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
        rows = bench.measure(arguments.models, arguments.trees)
    finally:
        bench.close()
    report(rows)


def report(rows: list[dict[str, float]]) -> None:
    """Print the table and keep it as JSON."""
    print(f"\nfrom publishing to answering, in ms; {len(rows)} models; median, least, most")  # noqa: T201
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:<28}{statistics.median(values):10.0f}{min(values):10.0f}{max(values):10.0f}")  # noqa: T201
    Path(".local").mkdir(exist_ok=True)
    Path(".local/bench-publish.json").write_text(json.dumps(rows, indent=2) + "\n")


class Publishing(Bench):
    """A whole Freshet with a steady load, to which models are published."""

    def __init__(self, bootstrap_servers: str, namespace: str) -> None:
        super().__init__(bootstrap_servers, namespace, events=0)
        self._publish_logreg()
        self.run("ingestion-0")
        self.run("inference-0")
        self.view.wait("a model to be live", lambda view: view.ledger.epochs.live)
        self.wait_answering("inference-0", since_ms=0)

    def measure(self, models: int, trees: int) -> list[dict[str, float]]:
        """What each of so many publishes took."""
        bundles = [self._forest(seed, trees) for seed in range(models)]
        enough = threading.Event()
        load = threading.Thread(target=self._send_until, args=(enough,), daemon=True)
        load.start()
        began = [self._published(bundle) for bundle in bundles]
        enough.set()
        load.join()
        return [self._steps(bundle.manifest, *when) for bundle, when in zip(bundles, began, strict=True)]

    def _send_until(self, enough: threading.Event) -> None:
        load = self.load()
        while not enough.wait(1 / _RATE):
            for _ in load.publish(self._event_batches(1)):
                pass

    def _forest(self, seed: int, trees: int) -> Bundle:
        draw = np.random.default_rng(seed)
        rows = draw.normal(size=(4000, WIDTH)).astype(np.float32)
        names = np.where(rows[:, 0] + draw.normal(size=4000) > 0, "yes", "no")
        model = HistGradientBoostingClassifier(max_iter=trees, random_state=seed, early_stopping=False)
        return pack(model.fit(rows, names), rows[:500], self.spec, trainer=str(seed)).bundle

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


if __name__ == "__main__":
    main()
