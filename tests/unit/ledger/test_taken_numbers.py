"""Which numbers are free: exact while there are few ranges, and within bounds whatever is named."""

from hypothesis import given
from hypothesis import strategies as st

from freshet.ledger.taken_numbers import MAX_RANGES, TakenNumbers


@given(st.lists(st.integers(1, 40)), st.integers(1, 45))
def test_the_lowest_free_number_is_found(taken: list[int], above: int) -> None:
    """As a set would tell, in whatever order the numbers come."""
    known = TakenNumbers()
    for number in taken:
        known.add(number)
    assert known.free_from(above) == next(free for free in range(above, 90) if free not in taken)


def test_a_flood_fills_nothing_and_frees_no_number() -> None:
    """Every second number, and the greatest one, again and again: what was given stays taken, and the next is near."""
    known = TakenNumbers()
    given_before = range(1, 51)
    for number in given_before:
        known.add(number)
    flood = [*range(60, 60 + 10 * MAX_RANGES, 2), 2**63 - 1]
    for number in flood:
        known.add(number)
        assert len(known) <= 2 * MAX_RANGES
    assert all(known.free_from(number) == 51 for number in given_before)
    assert all(known.free_from(number) != number for number in flood)
    assert known.free_from(52) == 52
    assert known.free_from(60) < 60 + 11 * MAX_RANGES
