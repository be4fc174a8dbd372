"""How a group's partitions are divided: the two assignors of `bus.Assignor`."""

from collections.abc import Mapping, Sequence

from freshet.runtime.bus.memory.partition_log import At


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


def range_assignment(members: Sequence[str], partitions: Sequence[At]) -> dict[str, set[At]]:
    """Each topic's partitions in runs, in the order of `members`: equal counts put equal numbers in one hand."""
    shares: dict[str, set[At]] = {member: set() for member in members}
    for topic in dict.fromkeys(at.topic for at in partitions):
        numbered = sorted(at for at in partitions if at.topic == topic)
        share, larger_shares = divmod(len(numbered), len(members)) if members else (0, 0)
        left = iter(numbered)
        for rank, member in enumerate(members):
            shares[member].update(next(left) for _ in range(share + (rank < larger_shares)))
    return shares
