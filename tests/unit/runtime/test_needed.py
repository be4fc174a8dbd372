"""Topics that a service needs: waited for before it begins, and while it runs."""

import threading
from itertools import pairwise

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.clock import ManualClock
from freshet.runtime.needed import Needed, TopicsMissingError, needed_roles
from freshet.runtime.supervised import Supervised
from freshet.runtime.turners import Turners
from support.loops import NAMES as OURS
from support.loops import Answerer, Stand

NAMES = TopicNames("dev.", "p")


def test_a_service_needs_what_it_reads_and_what_it_writes() -> None:
    """Nothing of the others, whose topics may be another release's."""
    assert {"events", "features", "labels", "dead-letters", "pipelines", "workers"} <= set(needed_roles("ingestion"))
    assert {"features", "predictions", "rollouts", "cutovers"} <= set(needed_roles("inference"))
    assert "predictions" not in needed_roles("ingestion")
    assert needed_roles("a-service-of-another-package") == ["workers"]


def test_what_is_missing_is_named_with_the_command_that_makes_it() -> None:
    """The first three by their whole names."""
    cluster = MemoryCluster()
    bus = MemoryBus(cluster, NAMES)
    needed = Needed(bus, NAMES, ["events", "features", "labels", "workers"])
    with pytest.raises(TopicsMissingError, match=r"no topic dev\.p\.events.* and 1 more.*`freshet apply -f FOLDER`"):
        needed.check()
    cluster.ensure(NAMES, 1, ["events", "features", "labels", "workers"])
    needed.check()
    assert needed.missing is None


def test_a_process_whose_topics_are_not_there_yet_waits_for_them() -> None:
    """That is no failure, though nothing else is served: the process goes on, and looks again after a second."""
    clock, stop, looks = ManualClock(), threading.Event(), list[int]()

    def check() -> None:
        looks.append(clock.elapsed_ms())
        if len(looks) == 5:
            stop.set()
        raise TopicsMissingError("no topic p.events.")

    waiting = Supervised(lambda: pytest.fail("made without its topics"), clock, "p", check)
    Turners([waiting], stop).run()
    assert [later - sooner for sooner, later in pairwise(looks)] == [1_000] * 4
    assert (waiting.unready(), waiting.failed) == ("no topic p.events.", False)


def test_nothing_is_read_while_an_output_is_missing() -> None:
    """Else its batches would fail one after the other; all of it is answered once the topic is back."""
    stand = Stand()
    loop = stand.loop(Answerer(), needs=["features", "predictions"])

    def turn(times: int = 20) -> None:
        for _ in range(times):
            stand.clock.advance(1_000)
            loop.step(0.0)

    turn()
    topic = OURS.topic("predictions")
    stand.cluster.delete_topic(topic)
    turn(10)
    assert topic in (loop.unready() or "")
    stand.feed(20)
    turn()
    assert stand.answers() == []
    stand.cluster.ensure(OURS, 2, ["predictions"])
    turn()
    assert loop.unready() is None
    assert stand.answers() == stand.inputs()
