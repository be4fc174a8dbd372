"""Three brokers of a test's own, what is done to them, and how long no answer came meanwhile."""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from freshet.contracts.topic_table import TopicNames
from freshet.lab import broker
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.transactions import OFFSETS_TOPIC
from freshet.runtime.reading import everything
from support.brokers import placements
from support.faults import until

TRANSACTIONS_TOPIC: Final = "__transaction_state"
# never kill a Kafka that is not our own
_ENVIRON: Final = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}


class ThreeBrokers:
    """They keep their address, whichever of them runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = broker.up(root, say=print, environ=_ENVIRON, brokers=3).bootstrap_servers

    def kill(self, number: int | None = None) -> None:
        """SIGKILL to one of them, or to all at once."""
        broker.kill(self.root, broker=number)

    def stop(self, number: int) -> None:
        """SIGTERM to one of them."""
        assert broker.down(self.root, environ=_ENVIRON, broker=number)

    def start(self) -> None:
        """Start those that do not run, and wait until each record is on all three."""
        assert broker.up(self.root, say=print, environ=_ENVIRON).bootstrap_servers == self.address
        until("all replicas to be in sync", self._in_sync)

    def wipe(self) -> None:
        """End all."""
        broker.wipe(self.root, environ=_ENVIRON)

    def coordinator_of_group(self, names: TopicNames) -> int:
        """The broker that keeps the offsets of inference's group."""
        return self._coordinator(OFFSETS_TOPIC, names.group("inference"))

    def coordinator_of_transactions(self, names: TopicNames) -> int:
        """The broker that keeps the transactions of the first slot of inference."""
        return self._coordinator(TRANSACTIONS_TOPIC, names.transactional_id("inference", "0"))

    def _coordinator(self, topic: str, name: str) -> int:
        partitions = placements(self.address)[topic]
        return partitions[abs(java_hash(name)) % len(partitions)].leader

    def _in_sync(self) -> bool:
        found = [at for topic in placements(self.address).values() for at in topic.values()]
        return all(len(at.replicas) == 3 and {*at.in_sync} == {*at.replicas} and at.leader >= 0 for at in found)


@dataclass
class Struck:
    """Since when until when something was done to the brokers."""

    what: str
    began_ms: int
    ended_ms: int = 0


@contextmanager
def struck(what: str, during: list[Struck]) -> Iterator[None]:
    """Note when it began and when it was over, by the clock that brokers stamp records with."""
    here = Struck(what, time.time_ns() // 1_000_000)
    yield
    here.ended_ms = time.time_ns() // 1_000_000
    during.append(here)


class Silence(NamedTuple):
    """How long no answer was written, in seconds: on the partition that waited longest, and on all at once."""

    partition_s: float
    everywhere_s: float


def silence(bus: KafkaBus, during: Struck) -> Silence:
    """The longest time between two answers one after the other, of which one at least was written in that span."""
    times: dict[int, list[int]] = {}
    for batch in everything(bus, "predictions"):
        for record in batch.records:
            times.setdefault(record.partition(), []).append(record.timestamp()[1])
    everywhere = sorted(time_ms for of_one in times.values() for time_ms in of_one)
    longest = max(_longest_ms(of_one, during) for of_one in times.values())
    return Silence(longest / 1000, _longest_ms(everywhere, during) / 1000)


def _longest_ms(times_ms: list[int], during: Struck) -> int:
    pairs = itertools.pairwise(times_ms)
    return max(
        (later - earlier for earlier, later in pairs if later >= during.began_ms and earlier <= during.ended_ms),
        default=0,
    )


def java_hash(text: str) -> int:
    """What Java makes of a text: brokers find the coordinator of a name by it."""
    value = 0
    for unit in text.encode("utf-16-be")[1::2]:  # names are ASCII
        value = (value * 31 + unit) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
