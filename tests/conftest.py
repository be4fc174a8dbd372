"""What every test may ask for; the fixtures themselves live in `support/`."""

import logging
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["support.broker"]


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """What a test sets up for its logs (a stream that pytest closes, say) ends with it."""
    client = logging.getLogger("freshet.kafka")
    level = client.level
    yield
    client.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
