"""What happens to the broker, by itself or by an operator's hand: rebalances, retention, topics made anew, offsets."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Committed
from support.simulation.laws import Laws
from support.simulation.people import Note
from support.simulation.world import INPUTS, NAMES, World

_COMPACTED: Final = ("rollouts", "cutovers", "models", "pipelines", "candidates", "workers")
_MOST_PARTITIONS: Final = 4


class Operations:
    """Each method is one thing that happens, chosen in detail by the world's random numbers."""

    def __init__(self, world: World, laws: Laws, note: Note) -> None:
        self._world, self._laws, self._note = world, laws, note
        self._cluster = world.cluster
        self._random: Random = world.random

    def deeds(self) -> Mapping[Callable[[], None], int]:
        """All of them with their weights."""
        return {
            self.expire: 3,
            self.interrupt: 10,
            self.pass_time: 8,
            self.compact: 2,
            self.retain: 4,
            self.empty: 1,
            self.lose_offsets: 1,
            self.reset_offset: 1,
            self.move_offset: 1,
            self.make_anew: 1,
            self.grow: 1,
            self.disconnect: 1,
        }

    def expire(self) -> None:
        """A member's session ends."""
        group = self._world.group(self._random.choice(["ingestion", "inference"]))
        if group.members:
            member = self._random.choice(group.members)
            self._note("expire", member)
            self._cluster.expire(member)

    def interrupt(self) -> None:
        """The group rebalances while a member is in the middle of its next collect."""
        group = self._world.group(self._random.choice(["ingestion", "inference"]))
        if group.members:
            member = self._random.choice(group.members)

            def cause() -> None:
                if member in group:
                    self._note("interrupted", member)
                    group.rebalance()

            self._cluster.rebalance_during_next_collect(member, cause)

    def pass_time(self) -> None:
        """Nothing happens for a while."""
        self._note("time")
        self._cluster.advance(self._random.choice([60, 60, 1_000, 5_000, 31_000]))

    def compact(self) -> None:
        """The log cleaner runs."""
        role = self._random.choice(_COMPACTED)
        self._laws.look()
        self._note("compact", role)
        self._cluster.compact(NAMES.topic(role))

    def retain(self) -> None:
        """Retention takes what was answered."""
        service, role = self._random.choice(INPUTS)
        for partition, at in self._world.committed_now(service, role).items():
            span = self._world.bus.spans(role)[partition]
            low = min(at.offset, span.end)
            if low > span.low and self._random.random() < 0.5:
                self._note("retention", f"{role}/{partition} up to {low}")
                self._cluster.truncate(NAMES.topic(role), partition, low)

    def empty(self) -> None:
        """Retention takes everything, answered or not."""
        _, role = self._random.choice(INPUTS)
        for partition, span in self._world.bus.spans(role).items():
            if span.end > span.low:
                self._note("emptied", f"{role}/{partition} up to {span.end}")
                self._cluster.truncate(NAMES.topic(role), partition, span.end)

    def make_anew(self) -> None:
        """Somebody deletes a topic and makes it again, under services that run.

        Events and feedback alone; features only together with events, since the events that they were made of would
        else have no trace. Half of the time clients notice at once, else only by the topic's id.
        """
        roles = self._random.choice([["events"], ["feedback"], ["events", "features"]])
        noticed = self._random.random() < 0.5
        self._note("made anew", f"{', '.join(roles)}{'' if noticed else ', unnoticed'}")
        for role in roles:
            name = NAMES.topic(role)
            if noticed:
                partitions = len(self._cluster.topic(name).logs)
                self._cluster.delete_topic(name)
                self._cluster.create_topic(name, partitions)
            else:
                self._cluster.remake_topic(name)

    def grow(self) -> None:
        """Somebody gives one topic a partition more; the others get theirs when trouble ends."""
        role = self._random.choice(self._world.DATA_ROLES)
        name = NAMES.topic(role)
        if len(self._cluster.topic(name).logs) < _MOST_PARTITIONS:
            self._note("grown", role)
            self._cluster.grow_topic(name)

    def disconnect(self) -> None:
        """All connections break, and one process cannot reach the broker for its next calls."""
        process = self._random.choice(self._world.processes)
        process.away = self._random.choice([1, 3, 10])
        self._note("disconnect", f"of all, {process.name} for {process.away} calls")
        self._cluster.disconnect()

    def lose_offsets(self) -> None:
        """The group was away for longer than the broker keeps offsets."""
        service = self._random.choice(["ingestion", "inference"])
        if self._stop(service):
            self._note("lost offsets", service)
            self._world.group(service).lose_offsets()

    def reset_offset(self) -> None:
        """An operator sets an offset back with Kafka's own tool, which wants the group to be stopped."""
        service, role = self._random.choice(INPUTS)
        committed = self._world.committed_now(service, role)
        if committed and self._stop(service):
            partition = self._random.choice(sorted(committed))
            low = self._world.bus.spans(role)[partition].low
            offset = self._random.randint(min(low, committed[partition].offset), committed[partition].offset)
            self._note("reset", f"{role}/{partition} to {offset}")
            self._world.group(service).commit(At(NAMES.topic(role), partition), Committed(offset, ""))

    def move_offset(self) -> None:
        """A script reads an offset, changes the number, back or forth, and writes it back with the text beside it."""
        service, role = self._random.choice(INPUTS)
        committed = self._world.committed(service, role)
        if committed and self._stop(service):
            partition = self._random.choice(sorted(committed))
            span = self._world.bus.spans(role)[partition]
            offset = self._random.randint(span.low, span.high + 2)
            self._note("moved", f"{role}/{partition} from {committed[partition]} to {offset}")
            at = Committed(offset, committed[partition].metadata)
            self._world.group(service).commit(At(NAMES.topic(role), partition), at)

    def _stop(self, service: str) -> bool:
        """Stop all processes of a service, and let their group end; False where one is in the middle of a turn."""
        if any(process.busy for process in self._world.of(service)):
            return False
        for process in self._world.of(service):
            process.kill()
        for member in self._world.group(service).members:
            self._cluster.expire(member)
        self._cluster.advance(60_000)
        return True
