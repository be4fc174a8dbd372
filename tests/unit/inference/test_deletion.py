"""A pipeline that was deleted and applied again is served by what is new alone."""

import pytest

from freshet.contracts.errors import DeletedError
from freshet.contracts.logic import Fact
from freshet.inference.core.crash_blame import Death, Span
from support.inference import Worker, digest_of, flight, model, rollout, serving, specification

TOMBSTONES = (
    Fact("pipelines", "fraud/1", None),
    Fact("pipelines", "fraud/2", None),
    Fact("models", "fraud/1.0.0", None),
    Fact("rollouts", "fraud/1", None),
    Fact("rollouts", "fraud/2", None),
)


def forget(worker: Worker, *facts: Fact) -> None:
    for fact in facts:
        worker.logic.fold(fact)


def test_a_worker_that_starts_later_knows_only_the_new_life() -> None:
    """The same numbers with other contents, which would be an alarm within one life, and a smaller specification."""
    worker = Worker().learn(specification(number=1), specification(("amount", "hour", "country", "x"), number=2))
    worker.learn(model("1.0.0", digest_of="old"), rollout(1, "1.0.0"), rollout(2, ()))
    forget(worker, *TOMBSTONES)
    assert worker.logic.unready() == "pipeline fraud is not published: run `freshet apply`."
    worker.learn(specification(number=1), model("1.0.0", digest_of="new"), rollout(1, "1.0.0"))
    worker.settle()
    assert worker.logic.unready() is None
    assert worker.loads == ["1.0.0"]


def test_the_tombstones_of_another_pipeline_change_nothing() -> None:
    """One control topic is everybody's."""
    worker = serving(model("1.0.0"), rollout(1, "1.0.0"))
    forget(worker, *(Fact(fact.role, fact.key.replace("fraud", "fraud-2"), None) for fact in TOMBSTONES))
    assert worker.logic.unready() is None


@pytest.mark.parametrize("tombstone", TOMBSTONES[2:], ids=lambda fact: fact.key)
def test_a_worker_that_holds_models_begins_anew(tombstone: Fact) -> None:
    """1.0.0 of the next life may be another model: what is in memory under that number must never answer."""
    worker = serving(model("1.0.0"), rollout(1, "1.0.0"))
    with pytest.raises(DeletedError, match="pipeline fraud was deleted"):
        forget(worker, tombstone)


def test_a_load_that_comes_after_the_deletion_is_nobodys() -> None:
    """It has bytes of the earlier life, and would be taken for the version that has its number in the next one."""
    worker = Worker(slow={"1.0.0"}).learn(specification(), model("1.0.0"), rollout(1, "1.0.0"))
    worker.tick()
    with pytest.raises(DeletedError, match="pipeline fraud was deleted"):
        forget(worker, *TOMBSTONES)


@pytest.mark.parametrize("bytes_of", ["old", "new"])
def test_deaths_are_held_against_the_bytes_that_were_in_flight(bytes_of: str) -> None:
    """Not against the number: a model that killed leaves the 1.0.0 of the next life free, and itself is known there."""
    deaths = [Death(flight("old", Span(0, at, at))) for at in range(4)]
    worker = Worker(deaths=deaths, died_loading=[digest_of("old")] * 2)
    worker.learn(specification(), model("1.0.0", digest_of="old"), rollout(1, "1.0.0"))
    worker.settle()
    forget(worker, *TOMBSTONES)
    worker.learn(specification(), model("1.0.0", digest_of=bytes_of), rollout(1, "1.0.0"))
    worker.settle()
    assert worker.loads == (["1.0.0"] if bytes_of == "new" else [])
    assert worker.state.quarantined == (() if bytes_of == "new" else ("1.0.0",))


def test_what_was_given_up_is_waited_for_in_the_next_life() -> None:
    """Epoch 2 and 1.1.0 are numbers of either life: a slow load of then gives up nothing of now."""
    worker = Worker().learn(specification(), rollout(2, "1.1.0", understudy="1.0.0"))
    worker.assign(p0="e=1 f=0")
    worker.tick()
    worker.tick(30_000)
    forget(worker, *TOMBSTONES)
    worker.learn(specification(), rollout(2, "1.1.0", understudy="1.0.0"), model("1.0.0"))
    worker.assign(p0="e=1 f=0")
    worker.settle()
    assert worker.waiting == [0]
