"""Join and evaluation together on the memory bus: from predictions and labels to evaluations."""

from freshet.contracts.evaluation_message import Evaluation
from freshet.drift.core.evaluate import EvaluateLogic
from freshet.drift.service import EVALUATE
from freshet.pipeline import PipelineSpec
from freshet.quality.counts import Counts
from freshet.quality.fold import evaluations
from freshet.quality.setting import setting_of
from freshet.testing import MemoryPipeline
from support.join_stage import NAMES, JoinStage
from support.join_world import PIPELINE, pipeline_record

LABEL = "{horizon: 10m, grace: 1m, wait: 2m}"


def test_labels_become_evaluations_that_a_recomputation_repeats() -> None:
    """Of two partitions, with corrections. Every second answer is "bad", and so are all labels in the end."""
    stage = JoinStage(LABEL)
    evaluating = MemoryPipeline(EVALUATE.name, references=EVALUATE.clues, names=NAMES, batch_rows=5000, beside=stage)
    join, evaluate = stage.worker(), evaluating.loop(EvaluateLogic(PIPELINE))
    for first in range(0, 1200, 100):
        for partition in (0, 1):
            names = [f"a-{number}" for number in range(first, first + 100)]
            stage.world.ask(names, partition)
            stage.cluster.advance(20_000)
            corrected = [(name, revision, told) for name in names[::10] for revision, told in ((0, "ok"), (1, "bad"))]
            rest = [(name, 0, "bad") for name in names if name not in names[::10]]
            stage.world.tell([*corrected, *rest], partition)
        stage.drain(join)
        stage.turn(evaluate, times=4)
    stage.turn(evaluate, times=20)
    offsets = [offset for batch in stage.read("outcomes") for offset in batch.offsets.tolist()]
    records = zip(offsets, stage.world.records(), strict=True)
    settings = {1: setting_of(PipelineSpec.parse(pipeline_record(LABEL).spec))}
    assert evaluate.unready() is None
    said = stage.messages("evaluations", Evaluation)
    where = {"outcomes_topic": stage.bus.topic_id("outcomes")}
    assert said == [one.model_copy(update=where) for one in evaluations(records, settings)]
    arrival = [Counts.of(one) for one in said if (one.series, one.view) == ("served", "arrival")]
    assert len(arrival) > 9
    whole = sum(arrival[1:], arrival[0])
    assert abs(int(whole.confusion[1, 0]) - int(whole.confusion[1, 1])) < 10
    assert int(whole.confusion[0].sum()) <= 10
    assert [one.predictions for one in said if one.series == "served" and one.view == "closed"]
