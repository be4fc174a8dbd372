"""Whoever watches a pipeline waits through a broker's restart, as the services do."""

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Cutover, Message, WorkerState
from freshet.contracts.topic_table import TopicNames
from freshet.operate.operate_error import LocalError
from freshet.operate.pipeline_view import View
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import RetriableError, Send
from support.inference import PIPELINE, model, rollout

CUT = Cutover(
    pipeline=PIPELINE, lane="serve", topic_id="t", partition=0, first_offset=5, epoch=1, fallback=0, cause="start"
)
WORKER = WorkerState(instance="inference/fraud/0", service="inference", pipeline=PIPELINE, interval_ms=3000)


@pytest.fixture
def view() -> View:
    cluster, names = MemoryCluster(), TopicNames("", "p")
    cluster.ensure(names, 1)
    return View(MemoryBus(cluster, names), "p")


def test_a_refusal_that_passes_does_not_end_the_wait(view: View) -> None:
    """A coordinator that still loads after the broker's restart is asked again."""
    answers = iter([RetriableError("not coordinator"), None, RetriableError("not coordinator"), "drained"])

    def found(_: View) -> str | None:
        answer = next(answers)
        if isinstance(answer, RetriableError):
            raise answer
        return answer

    assert view.wait("the offsets", found) == "drained"


def test_a_refusal_that_stays_is_named_when_the_time_is_over(view: View) -> None:
    """Waiting ends at its deadline whatever the broker says, and the sentence tells what it said."""

    def found(_: View) -> None:
        raise RetriableError("not coordinator")

    with pytest.raises(LocalError, match=r"in vain for the offsets.*not coordinator"):
        view.wait("the offsets", found, timeout_s=0.0)


def test_what_was_deleted_is_forgotten() -> None:
    """Versions, epochs, cut-overs and workers of a deleted pipeline; a neighbour's tombstones change nothing."""
    cluster, names = MemoryCluster(), TopicNames("", PIPELINE)
    cluster.ensure(names, 1)
    bus = MemoryBus(cluster, names)
    records: dict[str, tuple[str, Message]] = {
        "models": ("fraud/1.0.0", model("1.0.0")),
        "rollouts": ("fraud/1", rollout(1, "1.0.0")),
        "cutovers": ("fraud/serve/t/0/5", CUT),
        "workers": ("inference/fraud/0", WORKER),
    }
    for role, (key, message) in records.items():
        bus.producer().send(Send(role, [key.encode()], [encode(message)]))
        bus.producer().send(Send(role, [key.replace("fraud", "fraud-2").encode()], [None]))
    before = View(bus, PIPELINE)
    before.catch_up()
    found = before.ledger
    assert found.epochs.serving == "1.0.0"
    assert (len(found.versions.records), len(found.cutovers.told), len(found.workers.beats)) == (1, 1, 1)
    for role, (key, _) in records.items():
        bus.producer().send(Send(role, [key.encode()], [None]))
    for view in (before, View(bus, PIPELINE)):
        view.refresh()
        view.refresh()
        found = view.ledger
        assert found.epochs.live is None
        assert (found.versions.records, found.cutovers.told, found.workers.beats) == ({}, [], {})
