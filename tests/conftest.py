"""What every test may ask for; the fixtures themselves live in `support/`."""

import logging
import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# No test is about how fast this machine is; where a machine judges, it judges the same examples each time.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")

# What was started in the background, or by nohup, ignores Ctrl-C, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Threads of trees wait for each other by spinning: on a busy machine a fit of a second took minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

pytest_plugins = ["support.broker", "support.secured"]


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """What a test sets up for its logs (a stream that pytest closes, say) ends with it."""
    client = logging.getLogger("freshet.kafka")
    level = client.level
    yield
    client.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are given more time are begun first: else workers would wait at the end for the one that has them.

    Workers are given whole files (`--dist loadfile`), because tests of one file may share services.
    """
    items.sort(key=_allowed_s, reverse=True)


def _allowed_s(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0
