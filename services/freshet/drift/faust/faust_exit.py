"""How a process with Faust in it ends when something is wrong."""

import os
from typing import Final

import structlog

EXIT_FAUST: Final = 70


def leave(why: str) -> None:
    """End the process now. An exception would pass through Faust, which acknowledges the record that raised it."""
    structlog.get_logger("faust").critical("leaving", why=why)
    os._exit(EXIT_FAUST)
