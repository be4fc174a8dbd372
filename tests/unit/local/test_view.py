"""Whoever watches a pipeline waits through a broker's restart, as the services do."""

import pytest

from freshet.contracts.topics import TopicNames
from freshet.local.errors import LocalError
from freshet.local.view import View
from freshet.runtime.bus import RetriableError
from freshet.runtime.memory import MemoryBus, MemoryCluster


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
