"""A consumer group: generations, assignment, static members, committed offsets (KIP-345, 429, 447)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from freshet.runtime.bus.memory.assignors import range_assignment, sticky_assignment
from freshet.runtime.bus.memory.partition_log import At
from freshet.runtime.bus.protocol import Assignor, Committed, RefusedError


@dataclass(frozen=True, slots=True)
class Membership:
    """What a member shows when it commits offsets: who it was, in which generation."""

    group: str
    member: str
    generation: int


@dataclass(slots=True)
class _Member:
    instance: str | None
    target: set[At] = field(default_factory=set)


class Group:
    """The coordinator's side of one group. Members learn of their partitions when they poll, through `sync`.

    Cooperative: a partition changes hands in two steps. The old member gives it up in its next poll and joins again,
    only then is it given to the new one; everything else keeps flowing. A static member that dies in between leaves a
    gap, as in Kafka: its successor gets the last assignment without a rebalance, which lacks what the dead one was to
    give up, and nobody has that until the next rebalance.

    Range (eager): in its next poll each member gives up all it has and joins again. Once all have, or were expelled,
    there is a new generation, and each learns of its share in its next poll. Until then commits of the old generation
    pass. A static member that restarts gets its share of the newest complete assignment.
    """

    def __init__(self, name: str, partitions: Callable[[str], int]) -> None:
        """`partitions` counts a topic's partitions now."""
        self.name = name
        self.generation = 0
        self._partitions = partitions
        self._assignor: Assignor = "cooperative-sticky"
        self._topics: tuple[str, ...] = ()
        self._members: dict[str, _Member] = {}
        self._holders: dict[At, str] = {}
        self._committed: dict[At, Committed] = {}
        self._joining: set[str] | None = None
        """Who has joined again since an eager rebalance began; None while the group is stable."""

    def __contains__(self, member: str) -> bool:
        return member in self._members

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all members, the eldest first."""
        return tuple(self._members)

    def join(
        self, member: str, topics: Sequence[str], instance: str | None, assignor: Assignor = "cooperative-sticky"
    ) -> None:
        """A new member. With a known instance it silently takes that one's place: same partitions, same generation."""
        if not self._members:
            self._topics, self._assignor, self._joining = tuple(sorted(topics)), assignor, None
        if (self._topics, self._assignor) != (tuple(sorted(topics)), assignor):
            raise ValueError(
                f"group {self.name} reads {self._topics} by {self._assignor}, and so must {member}, not {topics} by "
                f"{assignor}."
            )
        predecessor = self._holder_of(instance)
        if predecessor is None:
            self._members[member] = _Member(instance)
            self.rebalance()
        else:
            self._members[member] = self._members.pop(predecessor)
            self._release(predecessor)
        if self._joining is not None:
            self._joined(member)

    def leave(self, member: str) -> None:
        """The member is gone, by its own will or because its session ended; its partitions are free."""
        del self._members[member]
        self._release(member)
        self.rebalance()

    def has_instance(self, instance: str | None) -> bool:
        """Whether a member with this instance id is in the group."""
        return self._holder_of(instance) is not None

    def reads(self, topic: str) -> bool:
        """Whether any member of the group subscribes to the topic."""
        return bool(self._members) and topic in self._topics

    def rebalance(self) -> None:
        """A new target for every member, in a new generation: at once, or when all have joined again."""
        if self._assignor == "range":
            self._joining = self._joining if self._joining is not None else set()
            self._complete()
            return
        self.generation += 1
        shares = sticky_assignment(
            {name: member.target for name, member in self._members.items()}, self._all_partitions()
        )
        for name, share in shares.items():
            self._members[name].target = {at for at in share if self._holders.get(at, name) == name}

    def sync(self, member: str, owned: Collection[At]) -> tuple[list[At], list[At]]:
        """What a polling member must give up, and what it has now been given."""
        revoked = self._revoked(member, owned)
        for at in revoked:
            if self._holders.get(at) == member:
                del self._holders[at]
        if self._joining is not None:
            self._joined(member)
        elif revoked and self._assignor == "cooperative-sticky":
            self.rebalance()
        if self._joining is not None:
            return revoked, []
        assigned = sorted(at for at in self._members[member].target if at not in self._holders)
        self._holders.update(dict.fromkeys(assigned, member))
        return revoked, assigned

    def check(self, membership: Membership) -> None:
        """Raises RefusedError unless the membership is of a member, and of this generation.

        It does not check who owns the partitions, exactly as Kafka's broker does not: a membership that was read too
        late passes.
        """
        if membership.member not in self._members:
            raise RefusedError(f"{membership.member} is no longer a member of {self.name} (UNKNOWN_MEMBER_ID).")
        if membership.generation != self.generation:
            raise RefusedError(
                f"group {self.name} is in generation {self.generation}, the commit is of {membership.generation}: "
                "a rebalance has overtaken it (ILLEGAL_GENERATION)."
            )

    def commit(self, at: At, offset: Committed) -> None:
        """Remember a committed offset."""
        self._committed[at] = offset

    def committed(self, at: At) -> Committed | None:
        """The committed offset, None if there is none."""
        return self._committed.get(at)

    def forget(self, topic: str) -> None:
        """The topic was deleted: its committed offsets are gone, and nobody holds its partitions."""
        self.forget_offsets(topic)
        self._holders = {at: holder for at, holder in self._holders.items() if at.topic != topic}

    def forget_offsets(self, topic: str) -> None:
        """Nothing is committed for this topic any more."""
        self._committed = {at: offset for at, offset in self._committed.items() if at.topic != topic}

    def lose_offsets(self) -> None:
        """All committed offsets are gone, as when the group was idle for longer than the broker keeps them."""
        self._committed.clear()

    def _revoked(self, member: str, owned: Collection[At]) -> list[At]:
        if self._joining is not None and member not in self._joining:
            return sorted(owned)
        target = self._members[member].target
        return sorted(at for at in owned if at not in target or self._holders.get(at) != member)

    def _joined(self, member: str) -> None:
        assert self._joining is not None
        self._joining.add(member)
        self._complete()

    def _complete(self) -> None:
        """End an eager rebalance that waits for nobody any more."""
        assert self._joining is not None
        if not self._joining.issuperset(self._members):
            return
        self._joining = None
        self.generation += 1
        self._holders.clear()
        order = sorted(self._members, key=lambda name: self._members[name].instance or name)
        for name, target in range_assignment(order, self._all_partitions()).items():
            self._members[name].target = target

    def _all_partitions(self) -> list[At]:
        return [At(topic, partition) for topic in self._topics for partition in range(self._partitions(topic))]

    def _holder_of(self, instance: str | None) -> str | None:
        same = (name for name, member in self._members.items() if instance is not None and member.instance == instance)
        return next(same, None)

    def _release(self, member: str) -> None:
        self._holders = {at: holder for at, holder in self._holders.items() if holder != member}
