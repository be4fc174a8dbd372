"""What every logic without state must be, whoever wrote it."""

from collections import Counter
from collections.abc import Callable
from random import Random

from freshet.contracts.logic import Logic
from freshet.contracts.topic_table import stanza, topic_table
from freshet.runtime.jobs import Runner
from freshet.runtime.recovery import Clue
from freshet.runtime.service import no_jobs
from freshet.testing.conformance import require
from freshet.testing.memory_pipeline import MemoryPipeline
from freshet.testing.play import PARTITIONS, Play, Row, play, three_entities

Records = Counter[tuple[bytes | None, bytes | None]]
"""Keys and values of a partition, each as often as it stands there."""


def check_logic(
    make: Callable[[], Logic],
    service: str,
    *,
    row: Callable[[Random, str], Row] = three_entities,
    prepare: Callable[[MemoryPipeline], None] | None = None,
    references: tuple[Clue, ...] = (),
    jobs: Runner = no_jobs,
    seeds: range = range(25),
    acts: int = 80,
) -> None:
    """Check that a logic's answers follow from its inputs alone, whatever happens to its workers.

    `make` builds the logic of a worker of `service`; `row` makes a record of a role. `prepare` may write what the logic
    follows, `jobs` runs what it starts, and `references` are the service's `clues`. Each seed is a run of `acts` on a
    Kafka in memory: rows come in batches of any size, commits are refused, workers die at any call, and partitions
    move. Half way and at the end, each partition of each output, dead letters included, must hold the same keys and
    values, each as often, as one undisturbed worker writes. So a logic fails that remembers rows from batch to batch,
    or whose answer to a row depends on its neighbours. Raises ConformanceError, with the seed.
    """
    for seed in seeds:
        run = LogicPlay(make, service, seed, row=row, prepare=prepare, references=references, jobs=jobs)
        play(run, acts)


class LogicPlay(Play[Logic]):
    """Chance against a logic, and the same rows for one worker that nothing happens to."""

    def compare(self) -> None:
        """See `Play`: the outputs are those of one undisturbed worker."""
        undisturbed = self._undisturbed()
        for role in topic_table():
            topic = stanza(role)
            if topic.partitions != "pipeline" or role in self.inputs:
                continue
            found, expected = _records(self.pipeline, role), _records(undisturbed, role)
            for partition in range(PARTITIONS):
                more, less = found[partition] - expected[partition], expected[partition] - found[partition]
                require(
                    not more and not less,
                    f"{self}: partition {partition} of {role} does not hold what one undisturbed worker writes. "
                    f"Too many: {_some(more)}. Missing: {_some(less)}.",
                )

    def _undisturbed(self) -> MemoryPipeline:
        """A cluster of its own, on which one worker has read the same rows, written at the same times."""
        pipeline = self.new_pipeline(batch_rows=1000)
        for at_ms, role, rows, partition in self.fed:
            pipeline.pass_time(max(at_ms - pipeline.cluster.now_ms, 0))
            pipeline.send(role, [key for key, _ in rows], [value for _, value in rows], partition)
        worker = self.started("0", pipeline)
        pipeline.drain(worker, rounds=400)
        return pipeline


def _records(pipeline: MemoryPipeline, role: str) -> list[Records]:
    found = [Records() for _ in range(PARTITIONS)]
    for batch in pipeline.read(role):
        for record in batch.records:
            found[record.partition()][record.key(), record.value()] += 1
    return found


def _some(records: Records) -> str:
    return f"{sum(records.values())}, such as {next(iter(records))}" if records else "none"
