"""What each feature contributed, from what the topics hold."""

from contextlib import closing
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from freshet.avro import Encoder, Ragged, Strings
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.cli.explain import parts_shown
from freshet.contracts.messages import ModelVersion
from freshet.contracts.topic_id import UNKNOWN_BYTES
from freshet.contracts.topic_table import TopicNames
from freshet.operate.answer_parts import answer_parts
from freshet.runtime.artifacts import publish_model
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from support.models import FEATURES, ROWS, WEIGHTS, manifest_of, softmax, softmax_scores

AT = 3
ROW = ROWS[0]


class Stage:
    """A broker in memory with one feature vector, the answer to it, and the model."""

    def __init__(self) -> None:
        cluster, names = MemoryCluster(), TopicNames("", "fraud")
        cluster.ensure(names, 4)
        self.bus = MemoryBus(cluster, names)
        self.manifest = manifest_of(softmax(), softmax_scores(ROWS))
        self.model = ModelVersion(
            pipeline="fraud", version="1.0.0", state="admitted", reason="", manifest=self.manifest
        )
        vector = Encoder(current_schema("FeatureVector"), schema_id("FeatureVector")).encode(
            {
                "event_id": Strings.from_list(["e1"]),
                "entity": Strings.from_list(["c1"]),
                "event_time": np.array([1_000]),
                "spec_version": np.array([1], np.int32),
                "values": Ragged.from_matrix(ROW[None]),
                "source_partition": np.array([0], np.int32),
                "source_offset": np.array([0]),
                "source_topic": Strings.repeat(UNKNOWN_BYTES, 1),
            }
        )
        with closing(self.bus.producer()) as producer:
            producer.send(Send("features", [b"c1"], vector, [AT]))
            publish_model(producer, softmax(), self.manifest)

    def answer(self, **but: Any) -> dict[str, Any]:
        """As `predictions_of` gives it."""
        value = {
            "features_topic": self.bus.topic_id("features"),
            "features_partition": AT,
            "features_offset": 0,
            "scores": softmax_scores(ROW[None])[0].tolist(),
            "label": "fraud",
        }
        return {"value": value | but}


def test_contributions_of_an_answer_are_told_from_its_vector_and_the_models_bytes() -> None:
    """They are the weights of the class that was answered times the values, and the table says how they were found."""
    stage = Stage()
    parts = answer_parts(stage.bus, stage.answer(), stage.model, FEATURES)
    assert parts.contributions is not None, parts.why_not
    at = int(softmax_scores(ROW[None])[0].argmax())
    np.testing.assert_allclose([*parts.contributions.features.values()], WEIGHTS[:, at] * ROW, rtol=1e-5)
    assert list(parts.values.values()) == pytest.approx(ROW.tolist())
    text = StringIO()
    Console(file=text, width=200).print(parts_shown(parts, stage.answer()["value"]))
    assert "logit of a softmax of fraud" in text.getvalue()
    assert "coefficient × value" in text.getvalue()


@pytest.mark.parametrize(
    ("but", "why"),
    [
        ({"features_topic": "AAAAAAAAAAAAAAAAAAAAAA"}, "not retained any more"),
        ({"features_offset": 9}, "not retained any more"),
        ({"scores": [0.5, 0.5]}, "not what its scores are made of"),
    ],
)
def test_what_keeps_contributions_from_being_told_is_said(but: dict[str, Any], why: str) -> None:
    """A vector that is gone, or an answer that these bytes do not give."""
    stage = Stage()
    parts = answer_parts(stage.bus, stage.answer(**but), stage.model, FEATURES)
    assert parts.contributions is None
    assert why in parts.why_not


def test_version_and_bytes_that_are_gone_are_said_to_be() -> None:
    """No record of the version, or no chunk of its model."""
    stage = Stage()
    assert "no record of the version" in answer_parts(stage.bus, stage.answer(), None, FEATURES).why_not
    other = manifest_of(softmax() + b"\x00", softmax_scores(ROWS))
    gone = stage.model.model_copy(update={"manifest": other})
    assert "holds no valid chunk" in answer_parts(stage.bus, stage.answer(), gone, FEATURES).why_not
