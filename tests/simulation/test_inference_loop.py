"""Inference in its loop, on a bus in memory, with real models: what its effects become on topics."""

from typing import Any

import numpy as np
import pytest

from freshet.contracts.logic import Job
from freshet.contracts.messages import Cutover, ModelVersion
from freshet.contracts.position import unstamped
from freshet.contracts.topic_table import TopicNames
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.core.model_jobs import LoadModel, RetireModel
from freshet.inference.loading import load_model, retire_model
from freshet.runtime.artifacts import publish_model
from freshet.runtime.bus.protocol import Place
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.jobs import Stop
from support.inference import CLASSES, FEATURES, PIPELINE, rollout
from support.inference_models import softmax_manifest, softmax_model
from support.inference_stage import InferenceStage

NAMES = TopicNames("", PIPELINE)
PARTITIONS = 2


class Stage(InferenceStage):
    """A pipeline in memory, and workers on it."""

    def admit(self, version: str) -> None:
        """Publish a model of its own weights, and let the registry know it under this version."""
        weights = np.random.default_rng(len(version)).normal(size=(len(FEATURES), len(CLASSES))).astype(np.float32)
        data = softmax_model(weights)
        asked, _ = publish_model(self._producer, data, softmax_manifest(data, weights, FEATURES, CLASSES, PIPELINE))
        self.say(
            "models",
            ModelVersion(
                pipeline=PIPELINE,
                version=version,
                state="admitted",
                reason="good",
                manifest=asked.manifest,
                chunk_offsets=asked.chunk_offsets,
            ),
        )

    def worker(self, slot: str) -> DataLoop:
        """A loop with its own models."""

        def run(job: Job[Any], stop: Stop) -> object:
            if isinstance(job, LoadModel):
                return load_model(job, self.bus)
            assert isinstance(job, RetireModel)
            retire_model(job)
            return None

        return self.loop(InferenceLogic(PIPELINE, slot, topic_id=self.bus.topic_id("features")), slot, jobs=run)

    def cuts(self) -> list[tuple[int, int, int, int]]:
        """(partition, first offset, epoch, fallback) of every committed cut-over."""
        told = self.messages("cutovers", Cutover)
        return sorted((cut.partition, cut.first_offset, cut.epoch, cut.fallback) for cut in told)


@pytest.fixture
def stage() -> Stage:
    """A pipeline without a model."""
    return Stage()


def test_records_wait_for_the_first_model_and_are_then_answered(stage: Stage) -> None:
    """Nothing is consumed before; the registry can follow all of it in the worker's records."""
    worker = stage.worker("0")
    stage.feed(10)
    stage.turn(worker)
    assert stage.answers() == []
    assert all(partition.held for partition in stage.states()[-1].partitions)
    stage.admit("v1")
    stage.say("rollouts", rollout(1, "v1", phase="prepare"))
    stage.turn(worker)
    assert stage.states()[-1].prepared[0].verdict == "ok"
    stage.say("rollouts", rollout(1, "v1"))
    stage.turn(worker)
    assert stage.answers("epoch") == [(partition, offset, "v1", 1) for partition in (0, 1) for offset in range(10)]
    assert stage.cuts() == [(0, 0, 1, 0), (1, 0, 1, 0)]
    assert worker.unready() is None
    worker.close()
    assert stage.states()[-1].leaving


def test_a_successor_goes_on_where_the_log_says(stage: Stage) -> None:
    """The worker dies between two epochs: the next one reads position and offset, and cuts where it begins."""
    stage.admit("v1")
    stage.admit("v22")
    stage.say("rollouts", rollout(1, "v1"))
    first = stage.worker("0")
    stage.feed(10)
    stage.turn(first)
    stage.say("rollouts", rollout(2, "v22", understudy="v1", resident=["v1", "v22"]))
    second = stage.worker("0")
    stage.feed(5)
    stage.turn(second)
    assert stage.answers("epoch") == [
        (partition, offset, "v1" if offset < 10 else "v22", 1 if offset < 10 else 2)
        for partition in (0, 1)
        for offset in range(15)
    ]
    assert stage.cuts() == [(0, 0, 1, 0), (0, 10, 2, 0), (1, 0, 1, 0), (1, 10, 2, 0)]
    reader = stage.bus.consumer("inference", ["features"], None, "range")
    committed = reader.committed([Place("features", 0)], 1.0)[Place("features", 0)]
    assert committed is not None
    assert unstamped(committed.metadata, committed.offset).metadata == "e=2 f=0"
