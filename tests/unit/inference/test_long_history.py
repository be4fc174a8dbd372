"""A pipeline that learns for years has many thousand epochs: what a worker does at a turn does not depend on them."""

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Rollout
from support.inference import Worker, model, rollout, specification
from support.instructions import instructions


def test_the_length_of_history_costs_nothing_at_any_turn() -> None:
    """A fold and a tick execute about as many instructions after 300 epochs as after 30.

    About, because libraries fill caches of their own now and then: one pass over the epochs would double the count.
    """
    short, long = _experienced(30), _experienced(300)
    for phase in ("prepare", "live"):
        costs = [
            instructions(lambda: _turn(worker, rollout(301, "v1", phase=phase, understudy="v2")))  # noqa: B023
            for worker in (short, long)
        ]
        assert costs[1] < costs[0] * 1.2


def _experienced(epochs: int) -> Worker:
    """A worker that learned this many epochs, of two versions in turn."""
    worker = Worker().learn(specification(), model("v1"), model("v2"))
    for epoch in range(1, epochs + 1):
        for phase in ("prepare", "live"):
            worker.learn(rollout(epoch, f"v{1 + epoch % 2}", phase=phase, understudy=f"v{2 - epoch % 2}"))
    worker.settle()
    worker.assign(p0="e=1 f=0")
    return worker


def _turn(worker: Worker, record: Rollout) -> None:
    worker.logic.fold(Fact("", "", record))
    worker.tick()
