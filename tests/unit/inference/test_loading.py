"""The load job: from chunks on the artifacts topic to a model that answers, and how it fails."""

from dataclasses import replace

import numpy as np
import pytest

from freshet.contracts.messages import Golden
from freshet.contracts.topic_table import TopicNames
from freshet.inference.core.model_jobs import LoadModel, RetireModel
from freshet.inference.loading import load_model, retire_model
from freshet.models.model_error import ModelError
from freshet.runtime.artifacts import publish_model
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from support.inference import CLASSES, FEATURES, PIPELINE
from support.inference_models import softmax_manifest, softmax_model

WEIGHTS = np.array([[1, -1], [0.5, 0], [0, 2]], np.float32)


@pytest.fixture
def bus() -> MemoryBus:
    """A bus whose artifacts topic is empty."""
    cluster, names = MemoryCluster(), TopicNames("", PIPELINE)
    cluster.ensure(names, 1, ["artifacts", "candidates"])
    return MemoryBus(cluster, names)


@pytest.fixture
def job(bus: MemoryBus) -> LoadModel:
    """The load of a model that has been published."""
    data = softmax_model(WEIGHTS)
    candidate, _ = publish_model(bus.producer(), data, softmax_manifest(data, WEIGHTS, FEATURES, CLASSES, PIPELINE))
    return LoadModel("v1", candidate.manifest, candidate.chunk_offsets, batch_rows=100)


def test_a_published_model_is_loaded_and_answers(bus: MemoryBus, job: LoadModel) -> None:
    """Scores of the graph, for the rows it is given."""
    loaded = load_model(job, bus)
    scores = loaded.scorer.score(np.array([[1, 2, 3]], np.float32))
    assert scores.argmax(axis=1).tolist() == [1]
    assert loaded.p99_us > 0
    assert loaded.scorer.manifest == job.manifest
    retire_model(RetireModel("v1", loaded.scorer))


def test_a_hint_that_points_past_the_chunks_costs_one_scan(bus: MemoryBus, job: LoadModel) -> None:
    """The topic was mirrored or made anew: a chunk counts by its key, wherever it lies."""
    load_model(replace(job, chunk_offsets=(1_000,)), bus).scorer.close()


def test_chunks_that_are_gone_are_named(bus: MemoryBus, job: LoadModel) -> None:
    """The reason code goes into the worker's record, the sentence says what repairs it."""
    unpublished = softmax_model(WEIGHTS * 2)
    manifest = softmax_manifest(unpublished, WEIGHTS * 2, FEATURES, CLASSES, PIPELINE)
    with pytest.raises(ModelError, match="publish the model again") as failure:
        load_model(replace(job, manifest=manifest), bus)
    assert failure.value.reason == "artifact_missing"


def test_a_model_that_does_not_answer_its_golden_rows_is_refused(bus: MemoryBus, job: LoadModel) -> None:
    """A file that merely loads is not verified: other arithmetic here would answer otherwise than its trainer saw."""
    golden = job.manifest.golden
    other = Golden(rows=golden.rows, features=golden.features, scores=bytes(len(golden.scores)))
    with pytest.raises(ModelError) as failure:
        load_model(replace(job, manifest=job.manifest.model_copy(update={"golden": other})), bus)
    assert failure.value.reason == "model_golden"


def test_a_model_that_would_not_fit_is_refused_before_anything_is_fetched(bus: MemoryBus, job: LoadModel) -> None:
    """For the kernel would end the process, and the model with the good ones in it."""
    with pytest.raises(ModelError) as failure:
        load_model(replace(job, memory_bytes=1 << 50), bus)
    assert failure.value.reason == "no_memory"
