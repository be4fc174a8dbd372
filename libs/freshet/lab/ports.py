"""Ports of this machine that nobody listens on."""

import secrets
import socket
from typing import Final

from freshet.operate.broker_record import LOOPBACK

_PORT_FIRST: Final = 20_000
_PORT_COUNT: Final = 10_000


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As the broker does it: connections of its predecessor that still linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nobody listens on, from 20000 to 29999, drawn at random.

    Not the kernel's choice: that comes from the range of outgoing connections, where a client that retries while
    the broker is down can be given the broker's own port, and so keep it from coming back.
    """
    while True:
        port = _PORT_FIRST + secrets.randbelow(_PORT_COUNT)
        if port_is_free(port):
            return port
