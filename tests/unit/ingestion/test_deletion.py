"""A pipeline that was deleted is ingested again only once it is applied again, whatever its number then."""

from freshet.contracts.logic import Fact, Hold
from support.ingestion import applied, batch, framed, loan, serving, written


def test_a_smaller_number_after_the_deletion_is_the_newest() -> None:
    """Number 1 of the next life follows on number 2 of the last one; in between events wait."""
    logic = serving()
    logic.fold(applied(number=2))
    logic.fold(Fact("pipelines", "loans/1", None))
    assert logic.unready() is None
    logic.fold(Fact("pipelines", "loans/2", None))
    assert "was deleted" in (logic.unready() or "")
    assert all(isinstance(effect, Hold) for effect in logic.on_batch(batch([framed(loan())])))
    logic.fold(applied(number=1))
    assert len(written(logic.on_batch(batch([framed(loan())])))) == 1
