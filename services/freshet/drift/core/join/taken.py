"""What rows of an input led to: pairs for the labelled log, and counts by minute and answer."""

from typing import Final, NamedTuple

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.messages import Minute
from freshet.drift.core.join.join_rows import Table, distinct

_MINUTE_MS: Final = 60_000


class Taken(NamedTuple):
    """What rows led to: pairs for the labelled log, and what is new of minutes of predictions."""

    pairs: Table
    minutes: list[Minute]


def minutes_of(times_ms: Ints, answers: Ints, asked: int) -> list[Minute]:
    """What each minute of predictions has more, by answer: the first rows are new predictions, the others labelled."""
    of_rows = times_ms // _MINUTE_MS << 16 | answers + 1
    keys = distinct(of_rows)
    places = np.searchsorted(keys, of_rows)
    counts = [np.bincount(part, minlength=keys.size).tolist() for part in (places[:asked], places[asked:])]
    starts_ms, of = ((keys >> 16) * _MINUTE_MS).tolist(), ((keys & 0xFFFF) - 1).tolist()
    return [
        Minute(start_ms=at, answer=answer, predictions=new, labelled=labelled)
        for at, answer, new, labelled in zip(starts_ms, of, *counts, strict=True)
    ]
