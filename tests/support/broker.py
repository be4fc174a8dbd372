"""A real Kafka for tests: one broker per run of pytest, which all its workers share; one topic prefix per test."""

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final

import pytest

from freshet.lab import broker

_FOLDER: Final = "KAFKA_OF_THIS_TEST_RUN"
"""Environment variable: the folder of the broker. The workers of `pytest -n` inherit it."""


@pytest.fixture(scope="session")
def kafka() -> str:
    """Bootstrap servers of a running Kafka: KAFKA_BOOTSTRAP_SERVERS if set, else a broker of this run's own.

    Ours is started by the first worker that asks, and deleted when the run ends, however the tests end. Tests share
    it: name topics, groups and transactional ids after `namespace`, and never stop it. A test of crashes starts its
    own with `freshet.lab`.
    """
    return broker.up(Path(os.environ[_FOLDER]), say=print).bootstrap_servers


@pytest.fixture
def namespace() -> str:
    """A prefix such as `t3f9a1.` that no other test has, for all names on the shared broker."""
    return f"t{secrets.token_hex(3)}."


def pytest_configure(config: pytest.Config) -> None:
    """Before any worker starts: say where the broker will be."""
    if not _is_worker(config):
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="kafka-of-tests-")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """After all workers have ended: stop the broker, if any test started it."""
    if not _is_worker(config):
        folder = Path(os.environ.pop(_FOLDER))
        broker.wipe(folder)
        shutil.rmtree(folder)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
