"""The join on the memory bus: what it writes follows from predictions and labels, whatever happens to its workers."""

from support.join_stage import JoinStage


def some(stage: JoinStage, first: int, count: int = 30, partition: int = 0) -> list[str]:
    """Predictions, most of which get a label, and some a correction."""
    ids = [f"a-{number}" for number in range(first, first + count)]
    stage.world.ask(ids, partition)
    stage.cluster.advance(20_000)
    stage.world.tell([(name, 0, "bad") for name in ids[::2]] + [(ids[0], 1, "ok"), (f"b-{first}", 0, "ok")], partition)
    return ids


def test_labels_meet_their_predictions() -> None:
    """Rows with values, counts, minutes; some labels come before, some of nobody."""
    stage = JoinStage()
    loop = stage.worker()
    stage.world.tell([("a-3", 0, "ok"), ("a-500", 0, "ok")])
    for partition in (0, 1):
        some(stage, 0, partition=partition)
    stage.drain(loop)
    counts = stage.world.check()
    assert (counts["matched"], counts["revised"], counts["known_before"]) == (31, 2, 1)
