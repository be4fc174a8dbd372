"""The join after its committed offsets were lost: the labelled log tells counts, but no clocks."""

import pytest

from support.join_stage import JoinStage

_PLAIN = "{horizon: 10m, grace: 1m, wait: 2m}"
_ABSENT = "{horizon: 5m, grace: 1m, wait: 1m, absent_after: 2m, means: ok}"


def one_life(stage: JoinStage) -> None:
    """A worker that reads all there is, and leaves before it can notice any silence."""
    loop = stage.worker()
    stage.drain(loop)
    loop.close()


def named(letter: str, count: int) -> list[str]:
    """So many ids."""
    return [f"{letter}-{number}" for number in range(count)]


@pytest.mark.parametrize("label", [_PLAIN, _ABSENT])
def test_predictions_after_lost_offsets_stay_open_when_a_worker_restarts_before_any_label(label: str) -> None:
    """The offset of labels still says what was open when it was lost; of predictions since then it says nothing."""
    stage = JoinStage(label, partitions=1)
    stage.world.ask(named("a", 10))
    stage.world.tell([(name, 0, "bad") for name in named("a", 5)])
    one_life(stage)
    stage.group.lose_offsets()
    stage.world.ask(named("b", 20))
    one_life(stage)
    one_life(stage)
    stage.world.tell([(name, 0, "bad") for name in named("b", 20)])
    one_life(stage)
    counts = stage.world.check()
    assert (counts["matched"], counts["revised"], counts["expired"]) == (25, 0, 0)
