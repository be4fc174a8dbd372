"""How many connections a process may hold."""

import resource
from collections.abc import Iterator

import pytest

from freshet.runtime.descriptors import room_for


@pytest.fixture
def hard() -> Iterator[int]:
    """The limit that the process cannot raise; its own is put back in the end."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_what_is_needed(hard: int) -> None:
    """1,024 is what most shells and containers begin with."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    assert room_for(2600) == 2600
    assert 2600 < resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= hard


def test_a_hard_limit_leaves_room_for_everything_else(hard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's sockets and files are opened when they are needed, and must not fail because of callers."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert 500 <= room_for(2600) <= 624
    assert asked == [(1024, 1024)]
    assert room_for(100) == 100


def test_without_a_limit_all_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set then."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert room_for(2600) == 2600
