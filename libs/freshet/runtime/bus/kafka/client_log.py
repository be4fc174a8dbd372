"""The Kafka client's own log, without what it repeats: it tells of each attempt to connect, several times a second."""

import logging
import re
from typing import Final

NAME: Final = "freshet.kafka"
_EVERY_S: Final = 30.0
_MOST: Final = 200
_CHANGING: Final = re.compile(r"\d+|\[thrd:[^]]*\]|\(after [^)]*\)|[(,] ?\d+ identical error\(s\) suppressed\)?")
"""Clients' numbers, ports, durations and counts: lines that differ in these alone say the same."""


class Repeats(logging.Filter):
    """Lets a line pass that was not said within the last 30 s. The time is that of the records."""

    def __init__(self) -> None:
        super().__init__()
        self._said_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        said = _CHANGING.sub("", record.getMessage())
        if record.created - self._said_s.get(said, -_EVERY_S) < _EVERY_S:
            return False
        self._said_s.pop(said, None)
        while len(self._said_s) >= _MOST:  # the one that was said longest ago
            del self._said_s[next(iter(self._said_s))]
        self._said_s[said] = record.created
        return True


def client_log() -> logging.Logger:
    """The logger that all clients of this process share."""
    log = logging.getLogger(NAME)
    if not any(isinstance(one, Repeats) for one in log.filters):
        log.addFilter(Repeats())
    return log
