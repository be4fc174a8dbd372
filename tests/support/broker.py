"""A real Kafka for tests: one broker per session, one topic prefix per test."""

import secrets
from collections.abc import Iterator

import pytest

from freshet.lab import broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a running Kafka: KAFKA_BOOTSTRAP_SERVERS if set, else a broker of this session's own.

    Ours is stopped and deleted at the end, however the tests end. Tests share it: name topics, groups and
    transactional ids after `namespace`, and never stop it. A test of crashes starts its own with `freshet.lab`.
    """
    root = tmp_path_factory.mktemp("kafka")
    try:
        yield broker.up(root, say=print).bootstrap_servers
    finally:
        broker.wipe(root)


@pytest.fixture
def namespace() -> str:
    """A prefix such as `t3f9a1.` that no other test has, for all names on the shared broker."""
    return f"t{secrets.token_hex(3)}."
