"""One batch a turn: what becomes of it when the logic refuses it, or when its answer cannot be written."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from freshet.contracts.batch import Batch
from freshet.contracts.logic import Abort, DeadLetter, Effect, Publish
from freshet.runtime.bus.protocol import RefusedError, RetriableError
from support.loops import NAMES, Answerer, Stand


class Verbose(Answerer):
    """Answers these offsets with more bytes than the topic takes."""

    def __init__(self, *offsets: int) -> None:
        super().__init__()
        self._offsets = frozenset(offsets)
        self.batches: list[int] = []

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """Replace their answers."""
        self.batches.append(len(batch))
        for effect in super().on_batch(batch):
            if isinstance(effect, Publish):
                values = [
                    b"x" * 2_000_000 if offset in self._offsets else value
                    for offset, value in zip(batch.offsets.tolist(), effect.values, strict=True)
                ]
                yield replace(effect, values=values)
            else:
                yield effect


class Hesitant(Answerer):
    """Throws its first batches away."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """Abort, or answer."""
        self._times -= 1
        return [Abort("not_yet")] if self._times >= 0 else super().on_batch(batch)


def test_an_answer_too_large_for_its_topic_sets_only_its_row_aside() -> None:
    """The batch is narrowed down to the row at fault; its neighbours are answered, and batches grow again."""
    stand, logic = Stand(), Verbose(13)
    stand.feed(100, 0)
    stand.turn(stand.loop(logic), times=60)
    assert stand.answers() == [place for place in stand.inputs() if place != (0, 13)]
    (letter,) = stand.dead()
    assert (letter["freshet.reason"], letter["freshet.offset"]) == ("input_output_too_large", "13")
    assert 1 in logic.batches
    assert max(logic.batches[-5:]) == 8, "a single bad row must not slow everything down for ever"


def test_a_batch_that_the_logic_throws_away_is_read_again_whole() -> None:
    """Nothing of it was committed: not its rows, and not its offsets."""
    stand = Stand()
    stand.feed(20, 0)
    loop = stand.loop(Hesitant(2))
    stand.turn(loop, times=3)
    assert stand.answers() == []
    stand.turn(loop, times=20)
    assert stand.answers() == stand.inputs()


def test_transactions_keep_their_distance_under_light_load_only() -> None:
    """A row now and then: 40 ms apart at least. A backlog: one right after the other."""
    stand = Stand()
    loop = stand.loop(Answerer())
    stand.turn(loop, times=4)
    commits = []
    for _ in range(5):
        stand.feed(1, 0)
        loop.step(0.0)
        commits.append(stand.clock.now_ms())
    assert min(later - earlier for earlier, later in pairwise(commits)) >= 40
    stand.feed(80, 0)
    loop.step(0.0)
    before_ms = stand.clock.now_ms()
    while loop.step(0.0) == 8:
        pass
    assert stand.clock.now_ms() == before_ms


def test_a_refused_batch_is_tried_again_after_growing_pauses_and_in_smaller_parts() -> None:
    """0, 0.2, 0.4 … at most 5 s; from the third refusal on half the rows. No row is set aside for it."""
    stand, logic = Stand(), Verbose()
    loop = stand.loop(logic)
    stand.turn(loop, times=6)
    stand.feed(8, 0)
    tries_ms: list[int] = []

    def refuse(step: str, _: str) -> None:
        if step == "begun":
            tries_ms.append(stand.clock.elapsed_ms())
            raise RefusedError("the broker says no.")

    stand.cluster.failpoint = refuse
    for _ in range(3000):
        stand.clock.advance(10)
        loop.step(0.0)
    pauses_ms = [later - earlier for earlier, later in pairwise(tries_ms)]
    at_least = [0, 200, 400, 800, 1600, 3200, 5000, 5000]
    assert all(pause >= least for pause, least in zip(pauses_ms, at_least, strict=False))
    assert all(pause < 5100 for pause in pauses_ms), "it goes on trying"
    assert logic.batches[:6] == [8, 8, 8, 4, 2, 1]
    stand.cluster.failpoint = None
    stand.turn(loop, times=120)
    assert stand.answers() == stand.inputs()
    assert stand.dead() == []


class Refusing(Answerer):
    """Sets every row aside."""

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """One letter a row."""
        return [DeadLetter(np.arange(len(batch)), "input_test", ["a test says so"] * len(batch))]


class Begun:
    """How many transactions were begun, and how many of them in vain."""

    def __init__(self, stand: Stand) -> None:
        self._reached: Counter[str] = Counter()
        stand.cluster.failpoint = lambda step, _: self._reached.update([step])

    @property
    def refused(self) -> int:
        """Those that were not committed."""
        return self._reached["begun"] - self._reached["committed"]


def capped(role: str, cap_bytes: int, *, told: bool) -> Stand:
    """A cluster whose topic takes so much, and tells clients or not."""
    stand = Stand()
    stand.cluster.topic(NAMES.topic(role)).max_message_bytes = cap_bytes
    stand.cluster.tells_caps = told
    return stand


@pytest.mark.parametrize(("told", "refusals"), [(True, 1), (False, 12)])
@pytest.mark.parametrize(("cap_bytes", "kept_bytes"), [(2_000_000, 900_000), (100_000, 4096), (1_000, 0)])
def test_the_brokers_cap_decides_how_much_of_a_dead_letter_is_kept(
    cap_bytes: int, kept_bytes: int, told: bool, refusals: int
) -> None:
    """Whatever the topic takes, a letter is written, once; the next ones, a little smaller, fit at once."""
    stand = capped("dead-letters", cap_bytes, told=told)
    loop = stand.loop(Refusing())
    stand.turn(loop, times=6)
    begun = Begun(stand)
    for row in range(50):
        stand.feed(1, 0, b"v" * (900_000 - row))
        stand.turn(loop, times=20 if row == 0 else 6)
    letters = stand.dead()
    assert [letter["freshet.offset"] for letter in letters] == [str(row) for row in range(50)]
    assert {letter["freshet.reason"] for letter in letters} == {"input_test"}
    kept = [len(value or b"") for value in stand.dead_values()]
    assert kept == [kept_bytes - row if kept_bytes > 4096 else kept_bytes for row in range(50)]
    assert begun.refused <= refusals, "the cap is found once"
    stand.feed(3, 1)
    stand.turn(loop)
    assert len(stand.dead()) == 53


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("logic", [Answerer, Refusing])
def test_a_batch_too_large_for_its_topic_is_split(logic: type[Answerer], told: bool) -> None:
    """Each record fits, many together do not: the client's batches become smaller, ours need not stay small."""
    stand = capped("dead-letters" if logic is Refusing else "predictions", 1_500, told=told)
    begun = Begun(stand)
    stand.feed(400, 0)
    loop = stand.loop(logic())
    stand.turn(loop, times=90)
    answered = len(stand.dead()) if logic is Refusing else len(stand.answers())
    assert answered == 400
    assert begun.refused <= (1 if told else 4)


def test_an_answer_known_to_be_too_large_is_not_sent() -> None:
    """The first one is refused by the broker; from then on no transaction is begun for one, and no pause is made."""
    stand, logic = capped("predictions", 20_000, told=True), Verbose(*range(5, 100, 10))
    begun = Begun(stand)
    stand.feed(100, 0)
    stand.turn(stand.loop(logic), times=120)
    assert [letter["freshet.offset"] for letter in stand.dead()] == [str(row) for row in range(5, 100, 10)]
    assert len(stand.answers()) == 90
    assert begun.refused == 1


def test_a_topic_that_takes_more_by_now_gets_what_it_takes() -> None:
    """What is known of a topic is asked for again before a row is set aside for it."""
    stand, logic = capped("predictions", 20_000, told=True), Verbose(5, 15)
    loop = stand.loop(logic)
    stand.feed(10, 0)
    stand.turn(loop, times=40)
    assert len(stand.dead()) == 1
    stand.cluster.topic(NAMES.topic("predictions")).max_message_bytes = 3_000_000
    stand.feed(10, 0)
    stand.turn(loop, times=40)
    assert len(stand.dead()) == 1
    assert [len(record.value() or b"") for batch in stand.read("predictions") for record in batch.records].count(
        2_000_000
    ) == 1


def test_a_dead_letters_topic_that_takes_nothing_is_waited_for() -> None:
    """Not even a letter without its record fits: nothing is skipped, and once the topic takes it, all goes on."""
    stand = capped("dead-letters", 100, told=True)
    begun = Begun(stand)
    loop = stand.loop(Refusing())
    stand.feed(3, 0)
    stand.turn(loop, times=1000)  # a minute
    assert stand.dead() == []
    assert 3 < begun.refused < 30, "it tries again, after pauses that grow"
    stand.cluster.topic(NAMES.topic("dead-letters")).max_message_bytes = 1_000_000
    stand.turn(loop, times=200)
    assert len(stand.dead()) == 3


def test_a_client_that_cannot_be_replaced_yet_loses_no_row() -> None:
    """After a lost connection a commit takes the id anew; until the broker answers that, rows are read again."""
    stand = Stand()
    loop = stand.loop(Answerer())
    stand.turn(loop, times=6)
    stand.feed(20, 0)
    stand.cluster.disconnect()
    refused = 0

    def away(_client: str, operation: str) -> None:
        nonlocal refused
        if operation == "open" and refused < 2:
            refused += 1
            raise RetriableError("the broker does not answer.")

    stand.cluster.before = away
    stand.turn(loop, times=60)
    assert refused == 2, "too weak"
    assert stand.answers() == stand.inputs()
