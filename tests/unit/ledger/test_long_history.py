"""A pipeline that learns for years has many thousand epochs and versions: no record and no question costs more then."""

from functools import cache

import pytest

from bench.bench_history import cutovers, history, questions
from freshet.contracts.logic import Fact
from freshet.ledger.ledger import PipelineLedger
from support.inference import PIPELINE, model, rollout
from support.instructions import instructions

SHORT, LONG = 30, 600


@cache
def grown(epochs: int) -> PipelineLedger:
    """A pipeline with so many epochs, each of a version of its own."""
    ledger = PipelineLedger(PIPELINE)
    for message in (*history(epochs), *cutovers(epochs)):
        ledger.fold(Fact("", "", message))
    return ledger


@pytest.mark.parametrize("name", questions(PipelineLedger(PIPELINE), 1))
def test_a_question_costs_the_same_after_many_epochs(name: str) -> None:
    """Twenty times the epochs, versions and cut-overs: about as many instructions."""
    short, long = (instructions(questions(grown(epochs), epochs)[name]) for epochs in (SHORT, LONG))
    assert long < short * 1.2


def test_a_record_costs_the_same_after_many_epochs() -> None:
    """The next version, its prepare, and its epoch."""

    def next_epoch(epochs: int) -> int:
        ledger, version = grown(epochs), f"1.{epochs + 1}.0"
        messages = [model(version), *(rollout(epochs + 1, version, phase=phase) for phase in ("prepare", "live"))]
        facts = [Fact("", "", message) for message in messages]
        return instructions(lambda: list(map(ledger.fold, facts)))

    assert next_epoch(LONG) < next_epoch(SHORT) * 1.2
