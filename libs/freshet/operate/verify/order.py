"""P1: each entity's answers in the order of its inputs, and what a producer did that no order can be kept of."""

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.operate.verify.evidence import Keyed, Life, Vectors
from freshet.operate.verify.findings import Finding, finding
from freshet.operate.verify.places import codes, partitions_of


def order(answers: Keyed) -> Finding:
    """Within an output partition, the inputs of one input partition and entity appear in their order.

    The same input once more is "answered twice", and no matter of order. The answers are those of one life of the
    input topic: in another one, offsets began anew.
    """
    ids, inputs, entities = answers.ids, answers.inputs, answers.entities
    check = f"{answers.role} keep each entity's order"
    if not ids.size:
        return finding("P1", check, 0, ids)
    lanes = codes(partitions_of(ids), partitions_of(inputs), entities)
    by_lane = np.lexsort((ids, lanes))
    _, ranks = np.unique(inputs, return_inverse=True)
    # ranks are below the number of rows, so the running maximum starts anew with each lane
    heights = lanes[by_lane] * len(ids) + ranks[by_lane]
    back = by_lane[heights < np.maximum.accumulate(heights)]
    return finding("P1", check, len(ids), np.sort(ids[back]))


def scattered(vectors: Vectors) -> tuple[Ints, Ints]:
    """Entities whose events arrived on more than one partition, and for each the row of one of its vectors.

    Most events first. Nobody can order events between partitions: whoever produces must key them by entity.
    """
    rows = np.flatnonzero(vectors.lives != Life.EARLIER)
    entities, sources = vectors.entities[rows], partitions_of(vectors.inputs[rows])
    lanes = codes(entities, sources)
    _, firsts = np.unique(lanes, return_index=True)
    names, partitions = np.unique(entities[firsts], return_counts=True)
    several = names[partitions > 1]
    if not several.size:
        return several, several
    of_them = rows[np.isin(entities, several)]
    found, at, events = np.unique(vectors.entities[of_them], return_index=True, return_counts=True)
    by_events = np.lexsort((of_them[at], -events))
    return found[by_events], of_them[at[by_events]]


def scattered_warning(vectors: Vectors, entity: int, name: str, entities: int) -> str:
    """One sentence about one of so many scattered entities."""
    own = vectors.inputs[(vectors.entities == entity) & (vectors.lives != Life.EARLIER)]
    partitions = ", ".join(map(str, np.unique(partitions_of(own)).tolist()))
    more = f" and {entities - 1:,} more entities" if entities > 1 else ""
    return (
        f"The producer's events of entity {name!r} arrived on partitions {partitions} ({len(own):,} events){more}: "
        "between partitions nobody can keep an entity's order. Let the producer key events by entity."
    )
