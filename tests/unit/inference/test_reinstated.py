"""A version that an operator took back from quarantine."""

import numpy as np

from freshet.contracts.arrays import Floats32
from support.inference import Worker, answers, batch, model, rollout, specification, vectors


def versions(worker: Worker, first: int) -> set[str]:
    """Who answers the next 600 rows of partition 0."""
    return {answer.version for answer in answers(list(worker.logic.on_batch(batch(*vectors(0, first, 600)))))}


def test_reinstated_version_answers_here_again_until_it_fails_again() -> None:
    """The registry's pardon names this worker: it tries the version again in the next epoch, and holds nothing back."""
    ill = [True]

    def mind(rows: Floats32) -> Floats32:
        return np.full((len(rows), 2), np.nan if ill[0] else 0.5, np.float32)

    worker = Worker(minds={"1.1.0": mind})
    worker.learn(specification(), model("1.0.0"), model("1.1.0"))
    worker.learn(rollout(1, "1.0.0"), rollout(2, "1.1.0", understudy="1.0.0"))
    worker.settle()
    worker.assign(p0="e=2 f=0")
    assert versions(worker, 0) == {"1.0.0"}
    worker.tick(5_000)
    assert "1.1.0" in worker.state.quarantined

    ill[0] = False
    others = model("1.1.0").model_copy(update={"pardoned": ("w2",)})
    back = model("1.1.0").model_copy(update={"pardoned": ("w1", "w2")})
    worker.learn(others, rollout(3, "1.1.0", understudy="1.0.0"))
    worker.settle()
    assert versions(worker, 600) == {"1.0.0"}, "another worker's pardon is not ours"
    worker.learn(back, rollout(4, "1.1.0", understudy="1.0.0"))
    worker.settle()
    assert versions(worker, 1_200) == {"1.1.0"}
    worker.tick(5_000)
    assert "1.1.0" not in worker.state.quarantined

    ill[0] = True
    assert versions(worker, 1_800) == {"1.0.0"}
    worker.learn(back)
    worker.tick(5_000)
    assert "1.1.0" in worker.state.quarantined
