"""What every logic with state must be, whoever wrote it."""

from collections.abc import Callable, Mapping
from random import Random

from freshet.contracts.batch import Batch
from freshet.contracts.stateful import Stateful
from freshet.runtime.recovery import Clue
from freshet.testing.conformance import ConformanceError, require
from freshet.testing.memory_pipeline import MemoryPipeline
from freshet.testing.play import PARTITIONS, Play, Row, play, three_entities


def check_stateful_logic(
    make: Callable[[], Stateful],
    service: str,
    *,
    row: Callable[[Random, str], Row] = three_entities,
    prepare: Callable[[MemoryPipeline], None] | None = None,
    judge: Callable[[MemoryPipeline], None] | None = None,
    references: tuple[Clue, ...] = (),
    seeds: range = range(25),
    acts: int = 80,
) -> None:
    """Check that a logic's state is a function of its inputs alone, whatever happens to its workers.

    `make` builds the logic of a worker of `service`; `row` a record of a role. `prepare` may write what the logic
    follows, `judge` may look at the answers, and `references` are the service's. Each seed is a run of `acts` on a
    Kafka in memory: rows come in any order of inputs and in batches of any size, commits are refused, workers die at
    any call, partitions move, and what was kept is lost. Half way and at the end, the state of every partition must
    have the bytes of one logic that `take_in` gave the inputs to, undisturbed. Raises ConformanceError, with the seed.
    """
    for seed in seeds:
        play(StatefulPlay(make, service, seed, row=row, prepare=prepare, references=references), acts, judge)


class StatefulPlay(Play[Stateful]):
    """Chance that also takes what workers have kept."""

    def __init__(
        self,
        make: Callable[[], Stateful],
        service: str,
        seed: int | str,
        *,
        row: Callable[[Random, str], Row] = three_entities,
        prepare: Callable[[MemoryPipeline], None] | None = None,
        references: tuple[Clue, ...] = (),
    ) -> None:
        """See `check_stateful_logic`."""
        kept = make().kept
        self._state_roles = (kept.role,) if kept else ()
        super().__init__(
            make, service, seed, row=row, prepare=prepare, references=references, more_roles=self._state_roles
        )
        self.lost = False

    def happened(self) -> str:
        """See `Play`."""
        return f"{self.crashes} deaths; {'some' if self.lost else 'nothing'} of what was kept was lost"

    def things(self) -> Mapping[Callable[[], None], int]:
        """See `Play`."""
        return {**super().things(), self.lose: 1}

    def lose(self) -> None:
        """All that was kept is lost, or only what compaction takes."""
        cluster, names = self.pipeline.cluster, self.pipeline.names
        if self.random.random() < 0.5:
            for role in self._state_roles:
                cluster.compact(names.topic(role))
        else:
            for role in self._state_roles:
                cluster.remake_topic(names.topic(role))
                self.lost = True

    def compare(self) -> None:
        """See `Play`: the state of each partition is that of one who took in the inputs as they lie in the log."""
        for partition in range(PARTITIONS):
            found, expected = self._owner(partition).dump(partition), self._undisturbed(partition)
            require(
                found == expected,
                f"{self}: the state of partition {partition} is not what its inputs lead to when `take_in` is given "
                f"them undisturbed. It is {_short(found)}; it must be {_short(expected)}.",
            )

    def _owner(self, partition: int) -> Stateful:
        for loop in self.loops.values():
            if loop is not None and any(place.partition == partition for place in loop.owned):
                assert isinstance(loop.logic, Stateful)
                return loop.logic
        raise ConformanceError(f"{self}: nobody reads partition {partition}")

    def _undisturbed(self, partition: int) -> bytes:
        logic = self._make()
        for role in self.inputs:
            logic.on_topic(role, self.pipeline.bus.topic_id(role))
        logic.begin(partition)
        for role in self.inputs:
            for batch in self.pipeline.read(role):
                rows = [record for record in batch.records if record.partition() == partition]
                if rows:
                    logic.take_in(Batch(role, rows), logic.plan)
        return logic.dump(partition)


def _short(state: bytes) -> str:
    return repr(state) if len(state) <= 300 else f"{state[:300]!r} and {len(state) - 300} bytes more"
