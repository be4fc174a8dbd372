"""Two random logs of one partition, with everything that the join must bear, and their columns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freshet.drift.core.join.join_rows import LABEL, Table, Windows, prediction_type
from support.join_reference import Id, Label, Prediction

WINDOWS = Windows(horizon=1000, grace=150, wait=200)
ABSENT = Windows(horizon=1000, grace=150, wait=200, absent_after=700, means=1.0)
LONGER = Windows(horizon=1300, grace=150, wait=260)
SCORES = 2


@dataclass
class Logs:
    """What was appended, in order."""

    predictions: list[Prediction]
    labels: list[Label]
    windows: dict[int, Windows]


def random_logs(rng: random.Random) -> Logs:
    """Re-used ids, corrections out of order, labels early, late and of nobody, gaps, clocks that step back."""
    count = rng.randint(20, 260)
    ids = _ids(rng, max(3, int(count * rng.choice([0.2, 0.7, 1.0]))))
    windows = {1: rng.choice([WINDOWS, ABSENT])}
    if rng.random() < 0.3:
        windows[2] = LONGER
    switches = [rng.randint(0, count) if len(windows) > 1 else 1 << 30 for _ in range(2)]
    predictions, appended = list[Prediction](), list[tuple[int, Id, int, float]]()
    now, offset = 10_000, rng.choice([rng.randint(0, 40), 5_000_000_000 + rng.randint(0, 1024)])
    step = rng.choice([2, 20, 60])
    for number in range(count):
        jump = rng.choice([WINDOWS.wait, WINDOWS.horizon, 3 * WINDOWS.horizon])
        now += rng.randint(0, step) if rng.random() < 0.97 else jump
        offset += 1 if rng.random() < 0.8 else rng.randint(2, 9)
        key = ids[number] if number < len(ids) and rng.random() < 0.9 else rng.choice(ids)
        back = rng.randint(0, 80) if rng.random() < 0.05 else 0
        answer = rng.randint(-1, 2)
        predictions.append(Prediction(key, offset, now - back, 1 if number < switches[0] else 2, answer))
        for revision in range(rng.choice([0, 1, 1, 1, 2, 3])):
            delay = rng.choice(
                [rng.randint(0, 300), rng.randint(0, 1000), rng.randint(980, 1250), -rng.randint(0, 260)]
            )
            corrected = rng.choice([revision, revision, rng.randint(0, 3)])
            appended.append((now + delay, key, corrected, float(rng.randint(0, 2))))
    for _ in range(count // 10):
        stranger = rng.choice([(rng.getrandbits(64), rng.getrandbits(32)), rng.choice(ids)])
        appended.append((now - rng.randint(0, count * step), stranger, 0, 1.0))
    return Logs(predictions, _in_order(rng, appended, switches[1]), windows)


def _ids(rng: random.Random, count: int) -> list[Id]:
    hashes = [rng.getrandbits(64) for _ in range(count)]
    crowded = rng.random()
    if crowded < 0.3:  # many ids in one bucket
        hashes = [(key & 0xFFFFFFFF) | (rng.randint(0, 3) << 60) | (7 << 32) for key in hashes]
    elif crowded < 0.5:  # several ids of one hash
        hashes = [key % 8 for key in hashes]
    return [(key, rng.getrandbits(32)) for key in hashes]


def _in_order(rng: random.Random, appended: list[tuple[int, Id, int, float]], switch: int) -> list[Label]:
    labels, offset = list[Label](), rng.randint(0, 40)
    for number, (at_ms, key, revision, value) in enumerate(sorted(appended, key=lambda row: row[0])):
        offset += 1 if rng.random() < 0.8 else rng.randint(2, 9)
        back = rng.randint(0, 50) if rng.random() < 0.05 else 0
        plan = 1 if number < switch else 2
        labels.append(Label(key, offset, at_ms - back, at_ms - 5, revision, value, plan))
    return labels


def prediction_rows(rows: Sequence[Prediction]) -> Table:
    """As the join takes them in."""
    out = np.zeros(len(rows), prediction_type(SCORES))
    for at, row in enumerate(rows):
        out[at]["hash"], out[at]["check"] = row.id
        out[at]["offset"], out[at]["time_ms"], out[at]["plan"] = row.offset, row.time_ms, row.plan
        out[at]["answer"] = row.answer
        out[at]["features_offset"], out[at]["event_time_ms"] = row.offset * 2, row.time_ms - 7
        out[at]["scores"], out[at]["epoch"], out[at]["version"] = row.offset / 7, 3, row.offset % 2
    return out


def label_rows(rows: Sequence[Label]) -> Table:
    """As the join takes them in."""
    out = np.zeros(len(rows), LABEL)
    for at, row in enumerate(rows):
        out[at] = (*row.id, *row[1:])
    return out
