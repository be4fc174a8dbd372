"""Labels that wait, when a producer gives all of them the same id."""

import time

import numpy as np

from freshet.drift.core.join.join_rows import LABEL, Plans, Windows
from freshet.drift.core.join.waiting_labels import Undo, Waiting

PLANS = Plans({1: Windows(600_000, 60_000, 120_000)})
COUNT = 10_000


def test_labels_of_one_id_cost_no_more_than_those_of_many() -> None:
    """A constant as event_id, of which there is no prediction: taking in and letting go is linear in them.

    Each looked at all others: fifty thousand took over a minute, and whoever does not poll for so long is put out of
    its group, again and again.
    """
    waiting = Waiting()
    undo: Undo = []
    begun_s = time.process_time()
    for first in range(0, COUNT, 1_000):
        labels = np.zeros(1_000, LABEL)
        labels["hash"], labels["plan"], labels["time_ms"] = 7, 1, np.arange(first, first + 1_000)
        waiting.add(labels, undo)
        undo.clear()
        waiting.drop()
    assert waiting.live == COUNT
    half_ms = COUNT // 2 + 120_000
    assert waiting.count_unknown(half_ms, PLANS, undo) == COUNT // 2
    while undo:
        undo.pop()()
    assert waiting.live == COUNT
    assert waiting.count_unknown(half_ms, PLANS, undo) == COUNT // 2
    undo.clear()
    waiting.drop()
    assert waiting.rows()["time_ms"].tolist() == list(range(COUNT // 2, COUNT))
    assert waiting.count_unknown(10**9, PLANS, undo) == COUNT // 2
    undo.clear()
    waiting.drop()
    assert waiting.rows().size == waiting.live == 0
    assert time.process_time() - begun_s < 0.7
