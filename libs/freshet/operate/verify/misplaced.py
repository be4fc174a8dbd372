"""Committed offsets that do not fit what is answered or what there is: said before a service starts from them.

An older backup of a group's offsets, put back whole, has the texts that were committed with its numbers: no service can
tell it from what it committed last.
"""

from collections.abc import Iterator, Mapping

from freshet.runtime.start_offsets import set_to


def misplaced(
    role: str, committed: Mapping[int, int], answered: Mapping[int, int], ends: Mapping[int, int]
) -> Iterator[str]:
    """A sentence for each partition whose offset is wrong. `answered`: the last offset that has an answer.

    Whatever is given must have been read after the answers: a service that runs commits both together.
    """
    for partition, offset in sorted(committed.items()):
        behind, end = answered.get(partition, -1) + 1, ends.get(partition)
        if end is not None and offset > end:
            yield (
                f"The committed offset {offset:,} of {role}/{partition} lies beyond the topic's end, {end:,}: no "
                "service can start from there. Offsets of another time were put back, or the log lost its end. "
                f"If all records are there: {set_to(min(behind, end))}, behind what is answered."
            )
        elif offset < behind:
            yield (
                f"The committed offset {offset:,} of {role}/{partition} lies below {behind:,}, up to where records are "
                "answered: whoever starts from there answers them twice. An older backup of the group's offsets may "
                f"have been put back. {set_to(behind)}."
            )
