"""A consumer group: generations, cooperative assignment, static members, committed offsets (KIP-345, 429, 447)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from freshet.runtime.bus import Committed, RefusedError
from freshet.runtime.memory.log import At


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

    A partition changes hands in two steps, as with Kafka's cooperative-sticky assignor: the old member gives it up in
    its next poll and joins again, only then can the new one have it. Everything else keeps flowing.
    """

    def __init__(self, name: str, partitions: Callable[[str], int]) -> None:
        """`partitions` counts a topic's partitions now."""
        self.name = name
        self.generation = 0
        self._partitions = partitions
        self._topics: tuple[str, ...] = ()
        self._members: dict[str, _Member] = {}
        self._holders: dict[At, str] = {}
        self._committed: dict[At, Committed] = {}

    def __contains__(self, member: str) -> bool:
        return member in self._members

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all members, the eldest first."""
        return tuple(self._members)

    def join(self, member: str, topics: Sequence[str], instance: str | None) -> None:
        """A new member. With a known instance it silently takes that one's place: same partitions, same generation."""
        if not self._members:
            self._topics = tuple(sorted(topics))
        if self._topics != tuple(sorted(topics)):
            raise ValueError(f"group {self.name} reads {self._topics}, and so must {member}, not {topics}.")
        predecessor = self._holder_of(instance)
        if predecessor is None:
            self._members[member] = _Member(instance)
            self.rebalance()
        else:
            self._members[member] = self._members.pop(predecessor)
            self._release(predecessor)

    def leave(self, member: str) -> None:
        """The member is gone, by its own will or because its session ended; its partitions are free."""
        del self._members[member]
        self._release(member)
        self.rebalance()

    def has_instance(self, instance: str | None) -> bool:
        """Whether a member with this instance id is in the group."""
        return self._holder_of(instance) is not None

    def reads(self, topic: str) -> bool:
        """Whether the group has members that subscribe to the topic."""
        return bool(self._members) and topic in self._topics

    def rebalance(self) -> None:
        """A new generation, and a new target for every member."""
        self.generation += 1
        partitions = [At(topic, partition) for topic in self._topics for partition in range(self._partitions(topic))]
        targets = sticky_assignment({name: member.target for name, member in self._members.items()}, partitions)
        for name, target in targets.items():
            self._members[name].target = target

    def sync(self, member: str, owned: Collection[At]) -> tuple[list[At], list[At]]:
        """What a polling member must give up, and what it has now been given."""
        target = self._members[member].target
        revoked = sorted(at for at in owned if at not in target or self._holders.get(at) != member)
        for at in revoked:
            if self._holders.get(at) == member:
                del self._holders[at]
        if revoked:
            self.rebalance()
        assigned = sorted(at for at in self._members[member].target if at not in self._holders)
        self._holders.update(dict.fromkeys(assigned, member))
        return revoked, assigned

    def check(self, membership: Membership) -> None:
        """Raises RefusedError unless the membership is of a member, and of this generation.

        Who owns the partitions is not looked at, exactly as in Kafka's broker: a membership read too late passes.
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
        """The topic is gone: so are its committed offsets, and nobody holds its partitions."""
        self._committed = {at: offset for at, offset in self._committed.items() if at.topic != topic}
        self._holders = {at: holder for at, holder in self._holders.items() if at.topic != topic}

    def _holder_of(self, instance: str | None) -> str | None:
        same = (name for name, member in self._members.items() if instance is not None and member.instance == instance)
        return next(same, None)

    def _release(self, member: str) -> None:
        self._holders = {at: holder for at, holder in self._holders.items() if holder != member}


def sticky_assignment(previous: Mapping[str, set[At]], partitions: Sequence[At]) -> dict[str, set[At]]:
    """Shares that differ by one at most; everybody keeps what they had as far as that allows. Names decide ties."""
    if not previous:
        return {}
    share, larger_shares = divmod(len(partitions), len(previous))
    exist = set(partitions)
    # whoever holds most gets the larger shares, so that fewest partitions move
    ranked = sorted(previous, key=lambda member: (-len(previous[member] & exist), member))
    sizes = {member: share + (rank < larger_shares) for rank, member in enumerate(ranked)}
    kept = {member: sorted(previous[member] & exist)[: sizes[member]] for member in ranked}
    free = iter(sorted(exist.difference(*kept.values())))
    return {
        member: set(kept[member]) | {next(free) for _ in range(sizes[member] - len(kept[member]))} for member in ranked
    }
