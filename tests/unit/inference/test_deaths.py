"""A model that kills its process: what its successors make of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from freshet.contracts.arrays import Floats32
from freshet.contracts.logic import Abort, DeadLetter
from freshet.inference.core.crash_blame import CrashBlame, Death, Flight, Span, blamed_loads
from freshet.inference.core.model_jobs import Scorer
from freshet.models.model_error import ModelError
from support.inference import (
    Worker,
    answers,
    as_bytes,
    cuts,
    dead,
    digest_of,
    flight,
    model,
    of_kind,
    rollout,
    specification,
    vectors,
)

ROWS = Span(0, 3, 8)
ROW, OTHER_ROW = Span(0, 5, 5), Span(0, 6, 6)


def died(*spans: Span, version: str = "v2", hung: bool = False) -> list[Death]:
    """Deaths in a row, each with one of these spans in flight."""
    return [Death(flight(version, span), hung) for span in spans]


def shared(*spans: Span) -> list[Death]:
    """Deaths beside a call of another."""
    return [replace(death, shared=True) for death in died(*spans)]


def worker(deaths: Sequence[Death]) -> Worker:
    """v2 answers in epoch 2, v1 is its understudy; it died like that before."""
    made = Worker(deaths=deaths)
    made.learn(specification(), model("v1"), model("v2"), rollout(1, "v1"))
    made.learn(rollout(2, "v2", understudy="v1", resident=["v1", "v2"]))
    made.settle()
    made.assign(p0="e=2 f=0")
    return made


@pytest.mark.parametrize(
    ("deaths", "blamed"),
    [
        (died(ROWS), False),
        (died(ROWS, ROW, ROW), False),
        (died(ROWS, ROW, ROW, OTHER_ROW), True),
        (died(ROWS, Span(0, 90, 99), Span(1, 0, 9), Span(2, 0, 9)), True),
        (died(ROWS, hung=True), False),
        (died(ROWS, hung=True) + died(ROW, hung=True), True),
        (died(ROWS, ROW) + died(ROWS, ROW, version="v1"), False),
        (died(ROWS, ROW, ROW) + shared(OTHER_ROW, OTHER_ROW), False),
    ],
)
def test_a_version_is_to_blame_once_no_single_row_explains_its_deaths(deaths: list[Death], blamed: bool) -> None:
    """One row explains three deaths: in a batch, and twice alone. Two hangs cost enough time to be too many."""
    assert set(CrashBlame(deaths).to_blame()) == ({digest_of("v2")} if blamed else set())


def test_rows_in_flight_at_a_death_are_scored_one_at_a_time() -> None:
    """The next death names the row; and what is answered is the same to the byte as without any death."""
    haunted, plain = worker(died(ROWS)), worker([])
    for rows in (vectors(0, 3, 9), vectors(0, 12, 4)):
        assert as_bytes(haunted.answer(*rows)) == as_bytes(plain.answer(*rows))
    assert [len(asked) for asked in haunted.scorers["v2"].asked] == [1] * 9 + [4]


def test_a_death_beside_another_call_makes_rows_suspects_but_sets_none_aside() -> None:
    """Twice beside a load that crashed, in a trickle of single rows: the row is good."""
    made = worker(shared(ROW, ROW))
    assert not dead(made.answer(*vectors(0, 3, 6)))
    assert [len(asked) for asked in made.scorers["v2"].asked] == [1] * 6


@pytest.mark.parametrize(
    ("deaths", "blamed"),
    [
        (shared(ROWS), []),
        (shared(ROWS) + died(ROWS), ["v2"]),
        (shared(ROWS, ROWS, ROWS) + died(ROWS, version="v1"), ["v1"]),
        (shared(ROWS, ROWS, ROWS, ROWS), ["v2"] * 4),
    ],
)
def test_a_load_is_blamed_for_deaths_of_its_own_and_for_many_that_it_shares(
    deaths: list[Death], blamed: list[str]
) -> None:
    """Of those that it always shares somebody must be held off, or the worker dies for ever."""
    assert blamed_loads(deaths) == list(map(digest_of, blamed))


@pytest.mark.parametrize(("batch_p99_ms", "rows"), [(250, 80), (7_000, 2), (1_000_000, 1)])
def test_rows_in_doubt_come_in_batches_that_end_before_the_group_loses_patience(batch_p99_ms: int, rows: int) -> None:
    """Each row alone may take as long as a batch may: 5,000 of them would outlast max.poll.interval.ms, for ever."""
    made = worker(died(Span(0, 0, 99)))
    spec = specification()
    made.learn(spec.model_copy(update={"spec": f"{spec.spec}limits: {{batch_p99_ms: {batch_p99_ms}}}\n"}))
    (abort,) = made.answer(*vectors(0, 0, 100))
    assert isinstance(abort, Abort)
    assert made.logic.limits.rows == rows
    assert len(answers(made.answer(*vectors(0, 0, rows)))) == rows
    assert made.logic.limits.rows == rows
    assert len(answers(made.answer(*vectors(0, 100, 100)))) == 100
    assert made.logic.limits.rows == 5_000


def test_what_is_noted_before_each_call_is_what_is_scored() -> None:
    """The whole batch with all its partitions; or the one row, where that matters."""
    noted: list[Flight] = []

    @contextmanager
    def guard(flight: Flight, scorer: Scorer, batch_p99_ms: int) -> Iterator[None]:
        noted.append(flight)
        yield

    made = Worker(deaths=died(Span(0, 0, 1)), guard=guard)
    made.learn(specification(), model("v2"), rollout(2, "v2"))
    made.settle()
    made.assign(p0="e=2 f=0", p1="e=2 f=0")
    made.answer(*vectors(0, 0, 2))
    made.answer(*vectors(1, 7, 3), *vectors(0, 2, 5))
    assert noted == [
        flight("v2", Span(0, 0, 0)),
        flight("v2", Span(0, 1, 1)),
        flight("v2", Span(0, 2, 6), Span(1, 7, 9)),
    ]


def test_a_row_that_killed_twice_alone_is_set_aside_and_never_asked_again() -> None:
    """Exactly that row, with a sentence; all others are answered by the version itself."""
    made = worker(died(ROWS, ROW, ROW))
    effects = made.answer(*vectors(0, 3, 6))
    assert dead(effects) == {"model_crashed": [2]}
    (letter,) = of_kind(effects, DeadLetter)
    assert "v2" in letter.details[0]
    assert letter.model_version == "v2"
    assert [(answer.offset, answer.version) for answer in answers(effects)] == [(at, "v2") for at in (3, 4, 6, 7, 8)]
    assert len(made.scorers["v2"].asked) == 5


def test_a_row_alone_may_be_set_aside_alone() -> None:
    """Nothing is left to score, and the partition moves on."""
    effects = worker(died(ROW, ROW)).answer(*vectors(0, 5, 1))
    assert dead(effects) == {"model_crashed": [0]}
    assert answers(effects) == []


def test_a_row_is_the_fault_of_one_version_only() -> None:
    """Another version may well answer what killed v1; offsets of another partition are other rows."""
    effects = worker(died(ROW, ROW, version="v1") + died(Span(1, 6, 6), Span(1, 6, 6))).answer(*vectors(0, 3, 6))
    assert dead(effects) == {}
    assert len(answers(effects)) == 6


def test_a_version_to_blame_is_quarantined_from_the_start() -> None:
    """The understudy answers, the registry reads that a new epoch is due, and the version is not loaded."""
    made = worker(died(ROWS, ROW, ROW, OTHER_ROW))
    effects = made.answer(*vectors(0, 3, 6))
    assert cuts(effects) == [(0, 3, 2, 1, "quarantine")]
    assert {answer.version for answer in answers(effects)} == {"v1"}
    assert dead(effects) == {}
    made.tick()
    assert made.state.quarantined == ("v2",)
    assert made.loads == ["v1"]
    assert "4 processes in a row died" in made.state.prepared[-1].detail


def test_an_interrupted_call_is_a_failure_like_any_other() -> None:
    """The watchdog ended it: the understudy answers the same rows in the same batch."""

    def interrupted(rows: Floats32) -> Floats32:
        raise ModelError("model_interrupted", "it took too long.")

    made = worker([])
    made.scorers["v2"].mind = interrupted
    effects = made.answer(*vectors(0, 3, 6))
    assert cuts(effects) == [(0, 3, 2, 1, "quarantine")]
    assert len(answers(effects)) == 6
