"""Numbers given at admission."""

import pytest

from freshet.contracts.messages import Candidate
from freshet.ledger.versions import Version
from freshet.registry.core.numbering import FIRST, next_version
from support.registry import candidate

BEFORE = candidate("before", inputs=("amount", "hour"), lineage={"training_set": "d1"}, trainer="logistic")


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        (candidate("m", inputs=("amount", "hour", "age")), "2.0.0"),
        (candidate("m", inputs=("amount", "hour"), classes=("legit", "fraud", "unsure")), "2.0.0"),
        (candidate("m", inputs=("amount", "hour"), classes=("fraud", "legit")), "2.0.0"),
        (candidate("m", inputs=("hour", "amount")), "1.5.0"),
        (candidate("m", inputs=("amount", "hour"), lineage={"training_set": "d2"}), "1.5.0"),
        (candidate("m", inputs=("amount", "hour"), lineage={"training_set": "d1"}, trainer="forest"), "1.4.3"),
        (candidate("m", inputs=("amount",), lineage={"training_set": "d1"}), "2.0.0"),
    ],
    ids=["column", "class", "class-order", "column-order", "other-data", "same-data", "contract-before-data"],
)
def test_number_says_what_changed(asked: Candidate, number: str) -> None:
    """MAJOR for another contract, PIPELINE for the same training set under it, else MINOR; lower parts start at 0."""
    given, _ = next_version(asked.manifest, (Version(1, 4, 2), BEFORE.manifest))
    assert str(given) == number


def test_models_that_name_no_training_set_are_not_taken_for_the_same_data() -> None:
    """Two silent lineages prove nothing: the number goes up as for a better model."""
    given, _ = next_version(candidate("b").manifest, (FIRST, candidate("a").manifest))
    assert given == Version(1, 1, 0)


def test_numbers_order_by_value_not_by_text() -> None:
    """1.10.0 is newer than 1.9.0."""
    assert Version.parse("1.10.0") > Version.parse("1.9.0")
