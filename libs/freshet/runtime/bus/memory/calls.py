"""A hook before each client call, in which a test lets happen what may happen between two calls of a process."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from freshet.runtime.bus.memory.cluster import MemoryCluster


class Client(Protocol):
    """A client of the cluster."""

    @property
    def cluster(self) -> MemoryCluster:
        """The cluster that it is a client of."""

    @property
    def client(self) -> str:
        """Its name in calls of `cluster.before`: a member, a transactional id, or its kind."""


C = TypeVar("C", bound=Client)
P = ParamSpec("P")
T = TypeVar("T")


def client_call(method: Callable[Concatenate[C, P], T]) -> Callable[Concatenate[C, P], T]:
    """Let `cluster.before` act first. What it raises, the caller gets, and the call is not made."""
    operation = method.__name__

    @wraps(method)
    def called(client: C, /, *arguments: P.args, **keywords: P.kwargs) -> T:
        before = client.cluster.before
        if before is not None:
            before(client.client, operation)
        return method(client, *arguments, **keywords)

    return called
