"""What a long history costs a worker: folding it at start, and each tick after: make bench-parts"""

import time
from collections.abc import Iterable

from freshet.contracts.logic import Fact
from freshet.contracts.messages import ModelVersion, Rollout
from support.inference import Worker, model, rollout, specification

EPOCHS = (100, 1_000, 10_000)
TICKS = 200


def history(epochs: int) -> Iterable[ModelVersion | Rollout]:
    """A new version every epoch, with the one before as its understudy; each epoch was prepared first."""
    for epoch in range(1, epochs + 1):
        version, before = f"1.{epoch}.0", f"1.{max(epoch - 1, 1)}.0"
        yield model(version)
        for phase in ("prepare", "live"):
            yield rollout(epoch, version, phase=phase, understudy=before, resident=[version, before])


def main() -> None:
    """Print CPU of the whole fold, and of one tick."""
    for epochs in EPOCHS:
        worker = Worker().learn(specification())
        facts = [Fact("", "", message) for message in history(epochs)]
        began_s = time.process_time()
        for fact in facts:
            worker.logic.fold(fact)
        folded_s = time.process_time()
        for now_ms in range(TICKS):
            list(worker.logic.on_tick(now_ms))
        tick_us = (time.process_time() - folded_s) / TICKS * 1e6
        fold_s = folded_s - began_s
        print(f"{epochs:6d} epochs: fold {fold_s:.2f} s, tick {tick_us:.0f} µs")  # noqa: T201


if __name__ == "__main__":
    main()
