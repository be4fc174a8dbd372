"""How many connections a process may hold, by how many files and sockets the system lets it open."""

import resource
from contextlib import suppress
from typing import Final

_OTHERS: Final = 500
"""Descriptors for everything else: Kafka, files, and connections that are accepted and not yet counted."""
_FEWEST: Final = 16


def room_for(connections: int) -> int:
    """At most so many; fewer where the system allows no more. Raises the process's own limit as far as that needs."""
    needed = connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(ValueError, OSError):  # a system whose real limit is lower than it says
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard)
            )
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if soft == resource.RLIM_INFINITY else max(_FEWEST, min(connections, soft - _OTHERS))
