"""Makes the clients that ask a cluster about itself, and sees to it that no thread of theirs destroys them."""

import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka.admin import AdminClient

_PARKED: Final[deque[AdminClient]] = deque()


def admin_client(owner: object, settings: Mapping[str, Any]) -> AdminClient:
    """A client that lives as long as its owner, and is destroyed by a thread that asks for another one later.

    The client answers from a thread of its own. If Python collects garbage there and finds that client in it,
    librdkafka ends the whole process with SIGABRT, because a thread cannot wait for its own end. So a client whose
    owner is gone is parked here, whatever thread found that out. Never call this from a callback of such a client.
    """
    _PARKED.clear()
    client = AdminClient(dict(settings))
    weakref.finalize(owner, _PARKED.append, client)
    return client
