"""Which edges there are of a pipeline, and between which of them its rows are counted."""

import numpy as np

from freshet.contracts.profile_messages import Edges
from freshet.profiles.bin_edges import BinEdges, chosen
from freshet.profiles.edges_book import EdgesBook

NAMES = ("amount",)


def edges(middle: float) -> BinEdges:
    """Those of values around a middle."""
    return chosen(NAMES, np.linspace(middle - 1, middle + 1, 100, dtype=np.float32)[:, None])


def record(found: BinEdges, pipeline: str = "p") -> Edges:
    """Its record."""
    return Edges(
        pipeline=pipeline,
        kind="features",
        id=found.id,
        names=NAMES,
        bins_each=found.bins_each,
        edges=found.edges.tobytes(),
        centre=found.centre.tobytes(),
        distance=found.distance.tobytes(),
        topic="t",
        partition=0,
        from_offset=0,
        to_offset=100,
        rows=100,
    )


def test_the_first_record_is_in_force_and_all_are_known() -> None:
    """Two partitions chose at once: frames may name either. Strangers' records change nothing."""
    book, first, second = EdgesBook("p"), edges(0.0), edges(5.0)
    book.fold("q/features/c/0", record(second))
    book.fold("p/features/c/7", record(second, "q"))
    book.fold("p/features/c/8", record(first).model_copy(update={"id": "0" * 16}))
    assert book.in_force("features", NAMES) is None
    book.fold("p/features/c/1", record(first))
    book.fold("p/features/c/0", record(second))
    found = book.in_force("features", NAMES)
    assert found is not None
    assert found.id == first.id
    assert set(book.by_id) == {first.id, second.id}
    assert book.in_force("answers", NAMES) is None


def test_a_tombstone_takes_its_record_back() -> None:
    """But not the same edges under another key."""
    book, first, second = EdgesBook("p"), edges(0.0), edges(5.0)
    for key, one in (("p/features/c/0", first), ("p/features/c/1", second), ("p/features/c/2", first)):
        book.fold(key, record(one))
    book.fold("p/features/c/0", None)
    found = book.in_force("features", NAMES)
    assert found is not None
    assert found.id == second.id
    assert set(book.by_id) == {first.id, second.id}
    book.fold("p/features/c/1", None)
    book.fold("p/features/c/2", None)
    assert book.in_force("features", NAMES) is None
    assert book.by_id == {}
