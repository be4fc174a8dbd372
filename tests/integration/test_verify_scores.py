"""`freshet verify --scores`: a version is proven by its numbers, computed again from the bytes on the topics."""

import numpy as np
import pytest
from onnx import helper

from freshet.avro import Column, Encoder, Ragged, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.arrays import Floats32
from freshet.contracts.messages import ModelVersion
from freshet.operate.verify.collect import collect
from freshet.operate.verify.evidence import Evidence
from freshet.operate.verify.judge import judge
from freshet.operate.verify.scores import Recomputed, recompute, sample
from freshet.runtime.artifacts import publish_model
from freshet.runtime.bus.protocol import Send
from support.buses import MemoryWorld
from support.evidence import good
from support.hand_written import ROLES, committed_of
from support.inference import specification
from support.models import CLASSES, FEATURES, WEIGHTS, graph, linear, manifest_of

OLD, NEW = "1.0.0", "2.0.0"
VALUES: Floats32 = np.random.default_rng(3).normal(size=(20, len(FEATURES))).astype(np.float32)


def other() -> bytes:
    """A model with the weights of `linear`, negated."""
    node = helper.make_node("MatMul", ["rows", "weights"], ["scores"])
    data: bytes = graph([node], {"weights": -WEIGHTS}).SerializeToString()
    return data


def world_of(scores: Floats32, versions: list[str], *, with_artifacts: bool = True) -> MemoryWorld:
    """Two models, a vector for each row of VALUES, and predictions that say so."""
    world = MemoryWorld()
    world.make_topics(*ROLES, "artifacts", "candidates")
    producer = world.bus.producer()
    for version, data, golden in ((OLD, linear(), None), (NEW, other(), -(VALUES[:16] @ WEIGHTS))):
        but = {} if golden is None else {"golden_features": VALUES[:16], "golden_scores": golden}
        manifest = manifest_of(data, **but)
        offsets = publish_model(producer, data, manifest).candidate.chunk_offsets if with_artifacts else ()
        record = ModelVersion(
            pipeline="fraud", version=version, state="admitted", reason="good", manifest=manifest, chunk_offsets=offsets
        )
        producer.send(Send("models", [version.encode()], [encode(record)]))
    producer.send(Send("pipelines", [b"fraud/1"], [encode(specification(FEATURES))]))
    rows = len(VALUES)
    about: dict[str, Column] = {
        "event_id": Strings.repeat("x", rows),
        "entity": Strings.repeat("e", rows),
        "event_time": np.zeros(rows, np.int64),
        "source_partition": np.zeros(rows, np.int32),
        "source_offset": np.arange(rows),
        "source_topic": Strings.repeat(bytes(16), rows),
    }
    vectors: dict[str, Column] = {"spec_version": np.ones(rows, np.int32), "values": Ragged.from_matrix(VALUES)}
    predictions: dict[str, Column] = {
        "label": Strings.from_list(CLASSES).take(scores.argmax(axis=1)),
        "scores": Ragged.from_matrix(scores),
        "version": Strings.from_list(versions),
        "epoch": np.ones(rows, np.int64),
        "fallback": np.zeros(rows, np.int32),
        "arm": np.zeros(rows, np.int32),
        "features_partition": np.zeros(rows, np.int32),
        "features_offset": np.arange(rows),
        "features_topic": Strings.repeat(bytes(16), rows),
    }
    for role, record_name, columns in (
        ("features", "FeatureVector", about | vectors),
        ("predictions", "Prediction", about | predictions),
    ):
        values = Encoder(current_schema(record_name), schema_id(record_name)).encode(columns)
        producer.send(Send(role, [b"k"] * rows, values, [0] * rows))
    return world


def evidence_of(world: MemoryWorld) -> Evidence:
    """What is on its topics."""
    return collect(world.bus, world.names.pipeline, committed_of(world))


def recomputed(world: MemoryWorld, count: int = 100) -> Recomputed:
    """What comes of scoring a sample again."""
    return recompute(world.bus, evidence_of(world), count)


def test_scores_of_the_named_versions_are_found_right() -> None:
    """Ten rows of each of two versions, batches that are padded among them."""
    scores = VALUES @ WEIGHTS
    scores[10:] *= -1
    found = recomputed(world_of(scores, [OLD] * 10 + [NEW] * 10))
    assert (found.finding.looked_at, found.finding.breaches) == (20, 0)
    assert found.unjudged == ()


def test_a_version_that_did_not_answer_is_found_by_its_numbers() -> None:
    """Names agree with whatever the rollouts say; the numbers are the other model's."""
    scores = VALUES @ WEIGHTS
    found = recomputed(world_of(scores, [OLD] * 19 + [NEW]))
    assert found.finding.breaches == 1
    assert found.finding.examples[0].startswith("0/19 is not 2.0.0's (off by ")


def test_scores_of_another_row_are_found() -> None:
    """A join that slipped by one: the right version and offsets, and the scores of the next row."""
    found = recomputed(world_of(np.roll(VALUES @ WEIGHTS, 1, axis=0), [OLD] * 20))
    assert found.finding.breaches == 20


def test_a_score_that_is_off_by_more_than_another_cpu_would_be_is_found() -> None:
    """One hundred-thousandth is too much."""
    scores = VALUES @ WEIGHTS
    scores[7, 0] += 1e-5 * max(1, abs(scores[7, 0]))
    (example,) = recomputed(world_of(scores, [OLD] * 20)).finding.examples
    assert example.startswith("0/7 ")


def test_what_cannot_be_scored_again_is_said() -> None:
    """The bytes of the models are gone; the judgement says so, and does not call it a breach."""
    world = world_of(VALUES @ WEIGHTS, [OLD] * 20, with_artifacts=False)
    evidence = evidence_of(world)
    found = recompute(world.bus, evidence, 100)
    assert (found.finding.looked_at, found.finding.breaches) == (0, 0)
    judgement = judge(evidence, found.finding, found.unjudged)
    (left_out,) = [one for one in judgement.unjudged if "artifact_missing" in one.why]
    assert left_out.count == 20
    assert judgement.findings[-1] == found.finding


@pytest.mark.parametrize("count", [1, 4, 7, 100])
def test_a_sample_is_the_same_each_time_and_takes_from_every_version(count: int) -> None:
    """As much of each as of any other, as far as it has so much."""
    evidence = good()
    rows, at = sample(evidence.predictions, evidence.features, count)
    again, _ = sample(evidence.predictions, evidence.features, count)
    assert rows.tolist() == again.tolist()
    assert len(set(rows.tolist())) == len(rows) == min(count, 10)
    assert (evidence.features.ids[at] == evidence.predictions.inputs[rows]).all()
    counts = np.bincount(evidence.predictions.versions[rows], minlength=2)
    assert abs(counts[0] - counts[1]) <= 1 or counts.min() == np.bincount(evidence.predictions.versions).min()
