"""What is said of one event that is waited for."""

import pytest

from freshet.client.client_errors import NotAnsweredError
from freshet.client.one_row import Answer, Follower
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import RetriableError
from support.models import specification


def test_a_broker_that_goes_away_ends_no_wait_and_is_named() -> None:
    """The event was sent: what is raised says where it lies, and not only that Kafka is away."""
    cluster, names = MemoryCluster(), TopicNames("", "fraud")
    cluster.ensure(names, 1)
    follower = Follower(MemoryBus(cluster, names), specification())

    def away(client: str, _operation: str) -> None:
        if client == "reader":
            raise RetriableError("broker transport failure.")

    cluster.before = away
    with pytest.raises(NotAnsweredError, match=r"partition 0, offset 7.*Kafka does not answer now: broker transport"):
        follower.follow(Answer("e-1", "card-1", (0, 7)), 0.01, on_slow=print)
