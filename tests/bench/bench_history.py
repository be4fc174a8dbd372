"""What a long history costs: folding it, each question that is asked of it, and a worker's turn: make bench-parts"""

import time
from collections.abc import Callable, Iterable

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Cutover, ModelVersion, Rollout
from freshet.contracts.position import Position
from freshet.ledger.ledger import PipelineLedger
from support.inference import PIPELINE, Worker, model, rollout, specification

EPOCHS = (100, 1_000, 10_000)
TURNS = 500
PARTITIONS = 6


def history(epochs: int) -> Iterable[ModelVersion | Rollout]:
    """A new version every epoch, with the one before as its understudy; each epoch was prepared first."""
    for epoch in range(1, epochs + 1):
        version, before = f"1.{epoch}.0", f"1.{max(epoch - 1, 1)}.0"
        yield model(version)
        for phase in ("prepare", "live"):
            yield rollout(epoch, version, phase=phase, understudy=before, resident=[version, before])


def cutovers(epochs: int) -> Iterable[Cutover]:
    """Every partition took every epoch."""
    for epoch in range(1, epochs + 1):
        for partition in range(PARTITIONS):
            yield Cutover(
                pipeline=PIPELINE,
                lane="serve",
                topic_id="t",
                partition=partition,
                first_offset=epoch,
                epoch=epoch,
                fallback=0,
                cause="rollout",
            )


def questions(ledger: PipelineLedger, epochs: int) -> dict[str, Callable[[], object]]:
    """Everything that is asked at a turn, by name."""
    newest, position, digest = f"1.{epochs}.0", Position(epochs), model("1.1.0").manifest.digest
    return {
        "live": lambda: (ledger.epochs.live, ledger.epochs.open, ledger.epochs.free_above()),
        "answerers": lambda: ledger.epochs.answerers(position),
        "wanted": lambda: (ledger.wanted(), ledger.resident()),
        "rollback target": ledger.rollback_target,
        "left behind": lambda: ledger.epochs.left_behind("1.1.0"),
        "return": lambda: ledger.epochs.is_return(epochs, since=epochs - 1),
        "version": lambda: (ledger.versions.newest, ledger.versions.may_serve(newest), ledger.part_of(newest)),
        "same bytes": lambda: (ledger.versions.same_bytes(digest), ledger.revoked()),
        "cut-overs": lambda: (ledger.cutovers.to_epoch(epochs), ledger.cutovers.since("serve", 0, position)),
        "workers": lambda: (ledger.workers.serving(), ledger.workers.alive("inference", 0)),
    }


def main() -> None:
    """Print CPU of a folded record, of each question, and of a worker's fold and tick."""
    for epochs in EPOCHS:
        facts = [Fact("", "", message) for message in history(epochs)]
        cuts = [Fact("", "", message) for message in cutovers(epochs)]
        ledger, worker = PipelineLedger(PIPELINE), Worker().learn(specification())
        ledger_us = 1e6 * _spent_s(lambda: list(map(ledger.fold, facts))) / len(facts)  # noqa: B023
        cut_us = 1e6 * _spent_s(lambda: list(map(ledger.fold, cuts))) / len(cuts)  # noqa: B023
        worker_s = _spent_s(lambda: list(map(worker.logic.fold, facts)))  # noqa: B023
        tick_us = 1e6 * _spent_s(lambda: [_turn(worker, now) for now in range(TURNS)]) / TURNS  # noqa: B023
        print(  # noqa: T201
            f"{epochs:6d} epochs: ledger {ledger_us:.1f} µs a record, {cut_us:.1f} µs a cut-over; "
            f"worker folds all in {worker_s:.2f} s, tick {tick_us:.0f} µs"
        )
        asked = {
            name: 1e6 * _spent_s(lambda: [ask() for _ in range(TURNS)]) / TURNS  # noqa: B023
            for name, ask in questions(ledger, epochs).items()
        }
        print("       " + ", ".join(f"{name} {spent_us:.1f} µs" for name, spent_us in asked.items()))  # noqa: T201


def _turn(worker: Worker, now_ms: int) -> object:
    return list(worker.logic.on_tick(now_ms)), worker.logic.report()


def _spent_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


if __name__ == "__main__":
    main()
