"""Which edges there are of a pipeline, and between which of them its rows are counted."""

import numpy as np

from freshet.contracts.profile_messages import Edges
from freshet.profiles.bin_edges import BinEdges, chosen
from freshet.profiles.edges_book import EdgesBook, edges_key, edges_record, is_by_command

NAMES = ("amount",)


def edges(middle: float) -> BinEdges:
    """Those of values around a middle."""
    return chosen(NAMES, np.linspace(middle - 1, middle + 1, 100, dtype=np.float32)[:, None])


def record(found: BinEdges, pipeline: str = "p") -> Edges:
    """Its record."""
    made = edges_record("p", "features", found, topic="t", rows=(0, 0, 100, 100))
    return made.model_copy(update={"pipeline": pipeline})


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


def test_what_a_command_wrote_last_is_in_force() -> None:
    """Whatever a partition writes before or after; all stay known, as frames name them. The same again is newest."""
    book, own, first, second = EdgesBook("p"), edges(0.0), edges(5.0), edges(9.0)

    def in_force() -> str:
        found = book.in_force("features", NAMES)
        assert found is not None
        return found.id

    keys = {one.id: edges_key("p", "features", one, None) for one in (first, second)}
    book.fold(edges_key("p", "features", own, 3), record(own))
    for one in (first, second, first):
        book.fold(keys[one.id], record(one))
        assert in_force() == one.id
    book.fold(edges_key("p", "features", second, 0), record(second))
    assert in_force() == first.id
    assert set(book.by_id) == {own.id, first.id, second.id}
    assert [is_by_command(key) for key in book.records] == [False, True, True, False]
