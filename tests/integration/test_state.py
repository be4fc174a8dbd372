"""A logic with state on a real Kafka: workers come and go, and each entity is counted as by one that never did."""

from collections.abc import Callable

import pytest

from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.clock import SystemClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.options import LoopOptions
from freshet.runtime.reading import everything
from freshet.runtime.service import no_jobs
from freshet.runtime.telemetry import Metrics
from support.counter_pipeline import PARTITIONS, QUICK, CounterPipeline
from support.faults import until
from support.loops import REFERENCE
from support.stateful import INPUTS, KINDS, SERVICE, Counter, check_counts

pytestmark = pytest.mark.kafka

_METRICS = Metrics()


class Pipeline(CounterPipeline):
    """With workers in this process, that are turned one after the other."""

    def worker(self, slot: str) -> DataLoop:
        """A new member."""
        return DataLoop(
            self.kind(),
            KafkaBus(self.kafka, self.names, extra=QUICK),
            self.names,
            service=SERVICE,
            slot=slot,
            fixed_slot=False,
            jobs=InlineJobs(no_jobs),
            clock=SystemClock(),
            metrics=_METRICS,
            references=[REFERENCE],
            options=LoopOptions(batch_rows=7),
        )

    def drain(self, *loops: DataLoop) -> None:
        """Turn them until every row is answered, and all is restored and read."""
        until("all to be answered", self._turned(loops))

    def _turned(self, loops: tuple[DataLoop, ...]) -> Callable[[], bool]:
        def done() -> bool:
            for _ in range(10):
                for loop in loops:
                    loop.step(0.02)
            states = [loop.logic for loop in loops if loop.unready() is None]
            rows = sum(_rows(logic) for logic in states if isinstance(logic, Counter))
            return len(self.answers()) >= self.fed and rows >= self.fed * len(INPUTS)

        return done


def _rows(logic: Counter) -> int:
    return sum(len(log.rows) for logs in logic.states.values() for log in logs.values())


@pytest.mark.parametrize("kind", KINDS)
def test_state_moves_with_its_partitions(kafka: str, namespace: str, kind: type[Counter]) -> None:
    """One worker, then two, then the other alone, then a third that restores everything: counts go on without a gap."""
    pipeline = Pipeline(kafka, namespace, kind)
    first = pipeline.worker("a")
    pipeline.feed(20)
    pipeline.drain(first)
    second = pipeline.worker("b")
    pipeline.feed(20)
    pipeline.drain(first, second)
    first.close()
    pipeline.feed(20)
    pipeline.drain(second)
    second.close()
    third = pipeline.worker("c")
    pipeline.feed(5)
    pipeline.drain(third)
    assert isinstance(third.logic, Counter)
    assert [third.logic.dump(n) for n in range(PARTITIONS)] == [pipeline.expected(n) for n in range(PARTITIONS)]
    third.close()
    pipeline.producer.close()
    answers = pipeline.answers()
    assert len(answers) == len({answer[:2] for answer in answers}) == 65 * PARTITIONS
    check_counts(answers)
    if kind.kept is not None:
        assert any(everything(pipeline.bus, kind.kept.role)), "nothing was kept"
