"""The join keeps what every logic with state promises, and its labelled log follows from its inputs alone."""

from functools import partial
from random import Random

import pytest

from freshet.avro import Encoder
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.logic import Fact
from freshet.drift.core.join.logic import JoinLogic
from freshet.drift.service import JOIN
from freshet.testing.memory_pipeline import MemoryPipeline
from freshet.testing.play import Row, play
from freshet.testing.stateful_checks import StatefulPlay
from support.join_world import PIPELINE, JoinWorld, label_columns, pipeline_record, prediction_columns

LABELS = ["{horizon: 20s, grace: 3s, wait: 5s}", "{horizon: 20s, grace: 3s, wait: 5s, absent_after: 8s, means: ok}"]
_PREDICTION = Encoder(current_schema("Prediction"), schema_id("Prediction"))
_LABEL = Encoder(current_schema("Label"), schema_id("Label"))


def row(chance: Random, role: str) -> Row:
    """A prediction or a label of one of some ids; the features have expired."""
    name = f"a-{chance.randrange(60)}"
    if role == "predictions":
        return b"card", _PREDICTION.encode(prediction_columns([name], [chance.randrange(1000)], bytes(range(16))))[0]
    return b"card", _LABEL.encode(label_columns([(name, chance.randrange(3), chance.choice(["ok", "bad"]))]))[0]


class Unhurried(JoinLogic):
    """Concludes nothing from silence: by when a log was found idle is the one thing that its records do not say."""

    def on_idle(self, role: str, partition: int) -> None:
        """Nothing."""


def logic(label: str) -> JoinLogic:
    """A join that knows its pipeline, with or without a loop around it."""
    made = Unhurried(PIPELINE, most_bytes=1 << 30)
    made.fold(Fact("pipelines", f"{PIPELINE}/1", pipeline_record(label)))
    return made


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("seed", range(8))
def test_state_and_labelled_log_follow_from_the_inputs(label: str, seed: int) -> None:
    """Commits are refused, workers die at any call, partitions move, slabs are lost."""
    worlds: list[JoinWorld] = []
    run = StatefulPlay(
        partial(logic, label),
        JOIN.name,
        seed,
        row=row,
        prepare=lambda pipeline: worlds.append(JoinWorld(pipeline.bus, 2, label)),
        references=JOIN.clues,
    )

    def judge(_pipeline: MemoryPipeline) -> None:
        worlds[0].check()

    play(run, 120, judge)
