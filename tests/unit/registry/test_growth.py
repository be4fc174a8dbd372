"""Epochs and versions only ever become more: no question walks over all of them."""

from collections.abc import Iterator
from typing import Any

from freshet.contracts.logic import Fact
from support.registry import World, candidate, decided, ready, served, worker

EPOCHS = 200


class Watched(dict[Any, Any]):
    """A dict that counts what is looked at."""

    looks = 0

    def __getitem__(self, key: Any) -> Any:
        Watched.looks += 1
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        Watched.looks += 1
        return super().get(key, default)

    def __iter__(self) -> Iterator[Any]:
        Watched.looks += len(self)
        return super().__iter__()

    def values(self) -> Any:
        Watched.looks += len(self)
        return super().values()

    def items(self) -> Any:
        Watched.looks += len(self)
        return super().items()


def grown(names: int) -> World:
    """A pipeline with so many versions, each of which has served."""
    world = served("v0", policy="immediate")
    for name in range(1, names):
        world.publish(candidate(f"v{name}"))
        world.settle()
    ledger = world.decider._pipelines.state("fraud").ledger
    ledger.epochs.records, ledger.versions.records = Watched(ledger.epochs.records), Watched(ledger.versions.records)
    return world


def looks_of(world: World) -> int:
    """How many records it takes to fold a beat, an epoch and a version, and to decide."""
    epoch = max(world.rollouts())
    facts = [
        Fact("workers", "w1", worker(prepared=ready(epoch)), world.now_ms, 10**6),
        Fact("rollouts", f"fraud/{epoch}", world.rollouts()[epoch], world.now_ms, 10**6),
        Fact("models", "fraud/1.0.0", world.models()["1.0.0"], world.now_ms, 10**6),
    ]
    Watched.looks = 0
    for fact in facts:
        world.decider.fold(fact)
    assert decided(world.decider, world.now_ms) == []
    return Watched.looks


def test_folding_and_deciding_cost_the_same_after_many_epochs() -> None:
    """Ten times the epochs and versions: not one record more is looked at."""
    assert looks_of(grown(EPOCHS // 10)) == looks_of(grown(EPOCHS))
