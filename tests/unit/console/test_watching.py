"""The thread that reads Kafka: what it tells when Kafka was slow to answer it."""

import threading
import time
from collections.abc import Iterator
from typing import cast

from freshet.console.watching import Watching
from freshet.contracts.logic import Fact
from freshet.operate.connection import Connection
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.feed import Feed
from support.console import PIPELINE, ConsoleWorld

NOWHERE = Connection("127.0.0.1:1", "", {}, cast(KafkaAdmin, None))


class Queued:
    """A feed whose facts wait to be read."""

    def __init__(self, *facts: Fact) -> None:
        self.waiting = list(facts)
        self.newer: dict[str, str] = {}

    def facts(self, timeout_s: float = 0.0) -> Iterator[Fact]:
        """All of them, once."""
        while self.waiting:
            yield self.waiting.pop(0)

    def caught_up(self) -> bool:
        """What there was is read."""
        return True

    def mark_ends(self) -> None:
        """Nothing has an end here."""


def test_who_beat_while_kafka_was_slow_to_answer_is_not_called_silent() -> None:
    """The beat came while lags were asked for: it is read before pages are made, and who did not beat is told."""
    world = ConsoleWorld(now_ms=time.time_ns() // 1_000_000)
    world.apply()
    world.beat("inference", "0", age_ms=5_000)
    world.beat("inference", "1", age_ms=5_000)
    late = world.folded.of(PIPELINE).workers.beats["inference/loans/0"]
    beat = Fact("workers", late.worker.instance, late.worker, late.timestamp_ms + 5_000, 100)
    watching = Watching(NOWHERE, threading.Event())
    watching._folded, watching._feed, watching._caught_up = world.folded, cast(Feed, Queued(beat)), True
    watching._build_if_due()
    assert watching.snapshot is not None
    workers = watching.snapshot.screens[PIPELINE].answerers.workers
    assert [(one.name, one.state) for one in workers] == [
        ("inference/loans/0", "serving"),
        ("inference/loans/1", "silent"),
    ]
