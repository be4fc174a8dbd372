"""One batch a turn: what becomes of it when the logic refuses it, or when its answer cannot be written."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from freshet.contracts.batch import Batch
from freshet.contracts.logic import Abort, Effect, Publish
from support.loops import Answerer, Stand


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
    stand.turn(stand.loop(logic), 60)
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
    stand.turn(loop, 3)
    assert stand.answers() == []
    stand.turn(loop, 20)
    assert stand.answers() == stand.inputs()


def test_transactions_keep_their_distance_under_light_load_only() -> None:
    """A row now and then: 25 ms apart at least. A backlog: one right after the other."""
    stand = Stand()
    loop = stand.loop(Answerer())
    stand.turn(loop, 4)
    commits = []
    for _ in range(5):
        stand.feed(1, 0)
        loop.step(0.0)
        commits.append(stand.clock.now_ms())
    assert min(later - earlier for earlier, later in pairwise(commits)) >= 25
    stand.feed(80, 0)
    loop.step(0.0)
    before_ms = stand.clock.now_ms()
    while loop.step(0.0) == 8:
        pass
    assert stand.clock.now_ms() == before_ms
