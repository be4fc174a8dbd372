"""A fixed slot that dies in the middle of a rebalance: whose are the partitions that it had just given up?"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Assignor, GroupConsumer
from support.dying_member import DIED, member, owned

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVERYTHING = [0, 1, 2, 3]
_PATIENCE_S = 60.0
_QUIET_S = 6.0  # many heartbeats: a rebalance that is to come would have come


class Slot:
    """Slot 0 in a process of its own, with what it last said that it owns."""

    def __init__(self, process: subprocess.Popen[bytes], told: Path) -> None:
        self.process, self._told = process, told

    def owned(self) -> list[int] | None:
        """Its partitions as it said them last; None before it said any."""
        lines = self._told.read_text().splitlines()
        return json.loads(lines[-1]) if lines else None


class Group:
    """Two fixed slots of one group: slot 0 dies in its first rebalance, which slot 1 causes, and is started again."""

    def __init__(self, kafka: str, namespace: str, assignor: Assignor, folder: Path) -> None:
        self._kafka, self._namespace, self._assignor, self._folder = kafka, namespace, assignor, folder
        topic = TopicNames(namespace, "fraud").topic("events")
        KafkaAdmin(kafka).create(topic, len(EVERYTHING))

    @contextmanager
    def slot(self, fate: str) -> Iterator[Slot]:
        """Slot 0, killed when the context is left."""
        told = self._folder / fate
        command = [sys.executable, "-m", "support.dying_member", self._kafka, self._namespace, self._assignor, fate]
        with told.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, cwd=Path(__file__).parents[1])
        try:
            yield Slot(process, told)
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def restarted(self) -> Iterator[tuple[GroupConsumer, Slot]]:
        """Slot 1, and slot 0 after its death, once it owns something again."""
        with self.slot("die") as first:
            _until(lambda: first.owned() == EVERYTHING)
            with closing(member(self._kafka, self._namespace, "1", self._assignor)) as other:
                _until(lambda: owned(other) is not None and first.process.poll() is not None)
                assert first.process.returncode == DIED
                with self.slot("live") as second:
                    _until(lambda: owned(other) is not None and bool(second.owned()))
                    yield other, second


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_with_range_a_slot_that_died_in_a_rebalance_leaves_nothing_unowned(
    kafka: str, namespace: str, tmp_path: Path
) -> None:
    """It gives up everything, dies before it joins again, and is started: each partition is somebody's."""
    with Group(kafka, namespace, "range", tmp_path).restarted() as (other, slot):
        _until(lambda: sorted(owned(other) + (slot.owned() or [])) == EVERYTHING)


def test_with_cooperative_sticky_they_wait_for_the_next_rebalance(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Why fixed slots do not have it: Kafka gives the slot half of an assignment back, and divides nothing again."""
    with Group(kafka, namespace, "cooperative-sticky", tmp_path).restarted() as (other, slot):
        quiet = time.monotonic() + _QUIET_S
        while time.monotonic() < quiet:
            found = sorted(owned(other) + (slot.owned() or []))
        assert len(found) == 2, f"{found} are owned: the reason for `range` is gone"
