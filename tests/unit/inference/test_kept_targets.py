"""Who answers at a position is worked out once and kept: never longer than it is true."""

from functools import partial
from random import Random

import numpy as np
import pytest

from freshet.contracts.arrays import Floats32
from freshet.inference.core.epoch_rules import EpochRules
from support.inference import FEATURES, Worker, answers, cuts, model, rollout, specification, vectors

VERSIONS = ("v1", "v2", "v3", "v4")
WIDE = (*FEATURES, "device")


def _story(seed: int) -> list[object]:
    """What a worker says and answers through a random life: epochs, loads, failures, quarantines, pardons."""
    draw, ill = Random(seed), set[str]()

    def scores(version: str, rows: Floats32) -> Floats32:
        return np.full((len(rows), 2), np.nan if version in ill else 0.5, np.float32)

    worker = Worker(minds={version: partial(scores, version) for version in VERSIONS})
    worker.learn(specification(), model("v1"), model("v2"), model("v3", inputs=WIDE), model("v4"))
    worker.assign(p0="e=0 f=0", p1="e=0 f=0")
    seen: list[object] = []
    epoch, offset = 0, 0
    for _ in range(40):
        match draw.randrange(8):
            case 0 | 1:
                epoch += 1
                champion, understudy, revoked = draw.sample(VERSIONS, 3)
                kept = draw.sample(VERSIONS, 2)
                banned = [revoked] if draw.random() < 0.2 else []
                worker.learn(rollout(epoch, champion, understudy=understudy, resident=kept, revoked=banned))
            case 2:
                ill ^= {draw.choice(VERSIONS)}
            case 3:
                back = draw.choice(VERSIONS)
                inputs = WIDE if back == "v3" else FEATURES
                worker.learn(model(back, inputs=inputs).model_copy(update={"pardoned": ("w1",)}))
            case 4:
                worker.broken = {} if worker.broken else {draw.choice(VERSIONS): "artifact_missing: gone"}
            case 5:
                worker.assign(p1=f"e={draw.randint(0, epoch + 1)} f={draw.randrange(2)}")
            case 6:
                worker.learn(specification(WIDE, number=2))
            case 7:
                worker.tick(draw.choice([50, 2_000, 10_000]))
        if draw.random() < 0.7:
            worker.settle()
        effects = worker.answer(*vectors(0, offset, 8), *vectors(1, offset, 8))
        offset += 8
        seen.append((cuts(effects), [(row.partition, row.version) for row in answers(effects)], worker.waiting))
    return seen


@pytest.mark.parametrize("seed", range(5))
def test_a_kept_target_is_the_one_that_would_be_found_now(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that asks anew each time answers the same rows with the same versions, and waits as often."""
    kept = _story(seed)
    monkeypatch.setattr(EpochRules, "next", EpochRules._search)
    assert kept == _story(seed)
