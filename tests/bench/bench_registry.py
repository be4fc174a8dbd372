"""What the registry costs after many epochs: CPU of a record that is folded, and of a turn in which nothing is due.

Arguments: numbers of epochs. Every epoch has a version of its own.
"""

import sys
import time

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Change, ModelVersion, Rollout, Share
from freshet.ledger.manifest_id import manifest_id
from freshet.registry.core.decider import RegistryDecider
from support.registry import PIPELINE, candidate, ready, specification, worker

_DECISIONS = 200


def history(epochs: int) -> list[Fact]:
    """A model each epoch, promoted at once."""
    facts = [Fact("pipelines", f"{PIPELINE}/1", specification("immediate"), 0, 0)]
    for epoch in range(1, epochs + 1):
        version = f"1.{epoch}.0"
        manifest = candidate(version).manifest
        aliases = ("champion",) if epoch == epochs else ("previous",) if epoch == epochs - 1 else ()
        record = ModelVersion(
            pipeline=PIPELINE,
            version=version,
            state="admitted",
            reason="",
            manifest=manifest,
            aliases=aliases,
            history=(Change(at_ms=epoch, what="admitted"),),
            manifest_id=manifest_id(manifest),
        )
        live = Rollout(
            pipeline=PIPELINE,
            epoch=epoch,
            phase="live",
            table=(Share(version=version, share=10_000),),
            salt=PIPELINE,
            cause="policy immediate",
        )
        facts.append(Fact("models", f"{PIPELINE}/{version}", record, epoch, epoch))
        facts.append(Fact("rollouts", f"{PIPELINE}/{epoch}", live, epoch, epoch))
    facts.append(Fact("workers", "w1", worker(prepared=ready(epochs)), epochs, 1))
    return facts


def measure(epochs: int) -> tuple[float, float]:
    """CPU in µs of one folded record, and of one decision at rest."""
    facts, decider = history(epochs), RegistryDecider()
    began = time.process_time()
    for fact in facts:
        decider.fold(fact)
    folded = time.process_time()
    for _ in range(_DECISIONS):
        for pipeline in decider.pipelines():
            assert not list(decider.decide(pipeline, epochs))
    decided = time.process_time()
    return 1e6 * (folded - began) / len(facts), 1e6 * (decided - folded) / _DECISIONS


if __name__ == "__main__":
    for count in [int(each) for each in sys.argv[1:]] or [100, 1_000, 10_000]:
        fold_us, decide_us = measure(count)
        print(f"{count:>7} epochs   {fold_us:8.1f} µs a record   {decide_us:10.1f} µs a decision")  # noqa: T201
