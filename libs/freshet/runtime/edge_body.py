"""The body of a request: whole, of a bounded length, and in time."""

import asyncio
from typing import Final

from starlette.requests import Request

BODY_S: Final = 10.0
"""How long a body may take to come, in seconds."""


class LongBodyError(Exception):
    """It has more bytes than there is room for; `length` of them came."""

    def __init__(self, length: int) -> None:
        super().__init__(f"a body of {length:,} bytes or more")
        self.length = length


async def whole_body(request: Request, most: int) -> bytes:
    """All of it, whatever length it was announced with, and never more than that plus one piece in memory.

    Raises LongBodyError if it has more than `most` bytes, and TimeoutError if it does not come within `BODY_S`:
    a caller that is slow to send takes up a connection, and its room, for no longer.
    """
    found = bytearray()
    async with asyncio.timeout(BODY_S):
        async for part in request.stream():
            found += part
            if len(found) > most:
                raise LongBodyError(len(found))
    return bytes(found)
