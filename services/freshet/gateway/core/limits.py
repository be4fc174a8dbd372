"""How much the gateway takes at once. What does not fit is refused before anything of it is written."""

from typing import Final

from freshet.gateway.core.refused import RefusedRequestError

BODY_BYTES: Final = 1 << 20
"""Of one request."""
EVENT_BYTES: Final = 900_000
"""Of one record as Kafka gets it; topics take 1 MiB with the record's frame."""
ROWS: Final = 1_000
"""Of one request."""
REQUESTS_IN_FLIGHT: Final = 2_000
BYTES_IN_FLIGHT: Final = 64 << 20
WAIT_MS: Final = 30_000
TAILS: Final = 100
TAIL_ROWS: Final = 1_000
"""Rows that wait for one slow reader of a tail."""
RETRY_AFTER_S: Final = 1


class Room:
    """Requests that are under way, and the bytes of their bodies."""

    def __init__(self, requests: int = REQUESTS_IN_FLIGHT, body_bytes: int = BYTES_IN_FLIGHT) -> None:
        self._most = (requests, body_bytes)
        self.requests = 0
        self.bytes = 0

    def enter(self, body_bytes: int) -> None:
        """Take up room for a request until `leave`. Raises RefusedRequestError (429) if there is none."""
        if self.requests + 1 > self._most[0] or self.bytes + body_bytes > self._most[1]:
            raise RefusedRequestError(
                429,
                "too_many_in_flight",
                f"{self.requests:,} requests with {self.bytes:,} bytes are under way, which is as much as the gateway "
                "takes. Nothing of this one was written: send it again after a moment.",
            )
        self.requests += 1
        self.bytes += body_bytes

    def leave(self, body_bytes: int) -> None:
        """The request is answered."""
        self.requests -= 1
        self.bytes -= body_bytes


def body_room(content_length: str, content_type: str, transfer_encoding: str) -> int:
    """How many bytes a body may have, by its headers. Raises RefusedRequestError (400, 413, 415)."""
    if content_length and transfer_encoding:
        raise RefusedRequestError(
            400, "two_lengths", "Content-Length and Transfer-Encoding contradict each other: send one of them."
        )
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise RefusedRequestError(
            415, "no_json", "The body must be JSON, with the header Content-Type: application/json."
        )
    length = int(content_length) if content_length.isdecimal() and len(content_length) < 20 else BODY_BYTES
    if length > BODY_BYTES:
        raise too_large("The body", length, BODY_BYTES)
    return length


def too_large(what: str, length: int, most: int) -> RefusedRequestError:
    """For a body or an event."""
    return RefusedRequestError(413, "too_large", f"{what} has {length:,} bytes or more; at most {most:,} are taken.")
