"""The model of what a pipeline costs is plain arithmetic, and finds the costs that points were made of."""

import pytest

from bench.scale_model import (
    BROKER,
    INFERENCE,
    INGESTION,
    PROCESSES,
    TERMS,
    Load,
    Point,
    counts,
    fitted,
    predicted,
    requests,
    touched,
    transactions,
    workers_for,
)

COSTS = {
    BROKER: [0.02, 1e-4, 2e-6, 2e-4, 2e-3, 3e-4],
    INGESTION: [0.01, 1e-5, 3e-6, 0.0, 1e-3, 1e-4],
    INFERENCE: [0.01, 1e-5, 4e-6, 0.0, 1e-3, 1e-4],
}
LOADS = (
    Load(4, 500, serving=False),
    Load(4, 8000, serving=False),
    Load(4, 0),
    Load(32, 0),
    Load(4, 500),
    Load(4, 8000),
    Load(32, 500),
)


def test_few_events_touch_few_partitions_and_many_touch_all() -> None:
    """One event one, and so many as there are partitions about two thirds of them."""
    assert touched(32, 1) == pytest.approx(1)
    assert touched(32, 32) == pytest.approx(32 * 0.638, rel=0.01)
    assert touched(4, 1000) == pytest.approx(4)
    assert touched(1, 50) == pytest.approx(1)


def test_a_producer_that_waits_sends_a_request_for_what_came_meanwhile() -> None:
    """Few events go one by one; many are bounded by how often a partition's wait is over."""
    assert requests(Load(4, 1)) == pytest.approx(1, rel=0.01)
    assert requests(Load(4, 1_000_000)) == pytest.approx(800, rel=0.01)


def test_transactions_follow_the_distance_and_never_the_events() -> None:
    """25 a second of one process; of inference as many as ingestion's bring, at most four times that."""
    assert transactions(Load(4, 5000), INGESTION) == pytest.approx((25, 100))
    assert transactions(Load(4, 5000), INFERENCE) == pytest.approx((25, 100))
    assert transactions(Load(100, 50_000, ingestion=10, inference=2), INFERENCE) == pytest.approx(
        (200, 10_000), rel=0.01
    )
    assert transactions(Load(4, 0), INGESTION) == transactions(Load(4, 9, serving=False), INFERENCE) == (0, 0)


def test_rare_events_are_transactions_of_their_own() -> None:
    """Nothing is committed where nothing came."""
    assert transactions(Load(4, 2), INGESTION) == pytest.approx((2, 2))


def test_the_costs_that_points_were_made_of_are_found() -> None:
    """Seven points tell six costs of the broker apart, and five of a service."""
    points = [Point(load, {name: predicted(COSTS, load, name) for name in PROCESSES}) for load in LOADS]
    found = fitted(points)
    for load in (Load(8, 2000), Load(16, 5000)):
        for name in PROCESSES:
            assert predicted(found, load, name) == pytest.approx(predicted(COSTS, load, name), rel=0.02)
    assert all(len(counts(LOADS[0], name)) == len(TERMS) for name in PROCESSES)


def test_workers_are_added_until_each_has_room_and_no_further_than_partitions() -> None:
    """Where one takes 0.2 cores it stays one; where all partitions do not suffice, there is one for each."""
    assert workers_for(COSTS, Load(10, 5000)).inference == 1
    many = workers_for(COSTS, Load(100, 1_000_000))
    assert predicted(COSTS, many, INFERENCE) / many.inference <= 0.7
    assert workers_for(COSTS, Load(2, 10_000_000)).inference == 2
