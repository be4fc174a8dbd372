"""Vectors of an old feature specification: the understudy may answer them, and only them."""

from collections.abc import Callable

import numpy as np
import pytest

from freshet.contracts.arrays import Ints
from freshet.operate.verify.collect import collect
from freshet.operate.verify.evidence import Evidence
from freshet.operate.verify.judge import Judgement, judge
from support.buses import MemoryWorld
from support.evidence import NEW, OLD, answered_by, at, good, ids, row_of
from support.hand_written import ROLES, committed_of, write

VERSIONS = "each answer's version is what its epoch names"


def by_columns(evidence: Evidence) -> Judgement:
    """The judgement of the evidence as it is."""
    return judge(evidence)


def by_bytes(evidence: Evidence) -> Judgement:
    """The judgement of what is collected from the topics that the evidence was written to."""
    world = MemoryWorld()
    world.make_topics(*ROLES)
    write(evidence, world.bus, world.names)

    return judge(collect(world.bus, world.names.pipeline, committed_of(world)))


def broken(judgement: Judgement) -> dict[str, tuple[str, ...]]:
    """The checks that fail, each with its examples."""
    return {finding.check: finding.examples for finding in judgement.findings if not finding.ok}


def of_specification(evidence: Evidence, versions: Ints) -> None:
    """Let the vectors be of these specifications, each of which appends one feature."""
    evidence.features.spec_versions = evidence.features.widths = versions
    evidence.history.spec_widths = {1: 1, 2: 2, 3: 3}


def two_specifications() -> Evidence:
    """`good`, but the champion of epoch 2 needs specification 2, and vectors 0/4 and 1/2 are of specification 1.

    So its understudy answers those two, while their partitions stay at (2, 0).
    """
    evidence = good()
    evidence.history.first_specs = {OLD: 1, NEW: 2}
    old = np.isin(evidence.features.ids, ids((0, 4), (1, 2)))
    of_specification(evidence, np.where(old, 1, 2))
    for place in ((0, 4), (1, 2)):
        answered_by(evidence.predictions, row_of(evidence.predictions, *place), OLD)
    return evidence


@pytest.fixture(params=[by_columns, by_bytes], ids=["columns", "bytes"])
def judged(request: pytest.FixtureRequest) -> Callable[[Evidence], Judgement]:
    """Both ways to the judgement."""
    found: Callable[[Evidence], Judgement] = request.param
    return found


def test_the_understudy_answers_vectors_that_are_too_old_for_the_champion(
    judged: Callable[[Evidence], Judgement],
) -> None:
    """A mixture within one position, by each vector's own specification, keeps the promise."""
    assert broken(judged(two_specifications())) == {}


def test_the_understudy_may_not_answer_a_vector_that_the_champion_can_read(
    judged: Callable[[Evidence], Judgement],
) -> None:
    """The next vector of the same partition is new enough."""
    evidence = two_specifications()
    answered_by(evidence.predictions, row_of(evidence.predictions, 0, 5), OLD)
    assert broken(judged(evidence)) == {VERSIONS: ("0/5",)}


def test_the_champion_may_not_answer_a_vector_that_lacks_its_inputs(judged: Callable[[Evidence], Judgement]) -> None:
    """It would have had to invent them."""
    evidence = two_specifications()
    answered_by(evidence.predictions, row_of(evidence.predictions, 1, 2), NEW)
    assert broken(judged(evidence)) == {VERSIONS: ("1/2",)}


def test_nobody_may_answer_a_vector_that_both_lack_inputs_of(judged: Callable[[Evidence], Judgement]) -> None:
    """It must be a dead letter, before the fallback (0/4) and at it (1/3), where no other stands in."""
    evidence = two_specifications()
    evidence.history.first_specs = {OLD: 2, NEW: 3}
    of_specification(evidence, np.where(np.isin(evidence.features.ids, ids((0, 4), (1, 3))), 1, 3))
    answered_by(evidence.predictions, row_of(evidence.predictions, 1, 2), NEW)
    assert broken(judged(evidence)) == {VERSIONS: ("0/4", "1/3")}


def test_a_stranger_is_no_understudy(judged: Callable[[Evidence], Judgement]) -> None:
    """An old vector is no excuse for a version that the epoch does not name."""
    evidence = two_specifications()
    answered_by(evidence.predictions, row_of(evidence.predictions, 0, 4), "9.9.9")
    assert broken(judged(evidence)) == {VERSIONS: ("0/4",)}


def test_an_understudy_is_believed_where_the_vector_has_expired_and_may_have_been_too_old() -> None:
    """Champion or understudy, but nobody else; and not the understudy of a champion that reads every specification."""
    evidence = two_specifications()
    evidence.features.ids = np.where(evidence.features.ids == at(0, 4), at(0, 99), evidence.features.ids)
    row = row_of(evidence.predictions, 0, 4)

    def wrong_versions(version: str) -> tuple[str, ...]:
        answered_by(evidence.predictions, row, version)
        return broken(judge(evidence)).get(VERSIONS, ())

    assert [wrong_versions(version) for version in (OLD, NEW, "9.9.9")] == [(), (), ("0/4",)]
    evidence.history.first_specs = {OLD: 1, NEW: 1}
    assert wrong_versions(OLD) == ("0/4", "1/2")
