"""Why an event got its answer: everything behind it, from the topics alone."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from freshet.avro.control import encode
from freshet.cli import explain as command
from freshet.cli import main as entry
from freshet.contracts.messages import Cutover, Message, ModelVersion, Rollout, Share
from freshet.contracts.shipped import schemas_dir
from freshet.contracts.topic_table import TopicNames
from freshet.operate.connection import Connection
from freshet.operate.explanation import CONTROL_ROLES, Explanation, explain, predictions_of
from freshet.operate.facts import read
from freshet.operate.operate_error import OperateError
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from support.registry import PIPELINE, candidate
from support.retraining import World

GOLDEN = bytes.fromhex((schemas_dir() / "examples/Prediction/of-topics.hex").read_text())
EVENT = "application-0001"


class Stage:
    """A broker in memory on which version 1.2.0, of a training, has answered one event under epoch 7."""

    def __init__(self, *, trained: bool = True) -> None:
        self.cluster, names = MemoryCluster(), TopicNames("", PIPELINE)
        self.cluster.ensure(names, 6)
        self.names = MemoryBus(self.cluster, names)
        self._send("predictions", b"applicant-17", GOLDEN, partition=5)
        self.answer = predictions_of(self.names, EVENT)[0]
        world = World(rows=5000)
        world.apply("gate: [{metric: accuracy, not_worse_by: 0.01}]")
        world.ask("c1")
        for record in world.settle():
            self._tell("trainings", PIPELINE, record)
        self.training = world.records()[-1].training
        manifest = candidate("m", lineage={"training": self.training} if trained else {}).manifest
        model = ModelVersion(pipeline=PIPELINE, version="1.2.0", state="admitted", reason="", manifest=manifest)
        self._tell("models", f"{PIPELINE}/1.2.0", model)
        table, resident = (Share(version="1.2.0", share=10_000),), ("1.2.0", "1.1.0")
        for epoch, cause in ((6, "promote"), (7, "policy gated")):
            rollout = Rollout(
                pipeline=PIPELINE, epoch=epoch, phase="live", table=table, salt="s", resident=resident, cause=cause
            )
            self._tell("rollouts", f"{PIPELINE}/{epoch}", rollout)
        for offset in (90_000, 98_000, 99_000):
            self._cut(offset)

    def _cut(self, offset: int) -> None:
        topic = self.answer["value"]["features_topic"]
        cut = Cutover(
            pipeline=PIPELINE,
            lane="serve",
            topic_id=topic,
            partition=5,
            first_offset=offset,
            epoch=7,
            fallback=0,
            cause="t",
        )
        self._tell("cutovers", f"{PIPELINE}/serve/{topic}/5/{offset}", cut)

    def _tell(self, role: str, key: str, message: Message) -> None:
        self._send(role, key.encode(), encode(message))

    def _send(self, role: str, key: bytes, value: bytes, partition: int | None = None) -> None:
        self.names.producer().send(Send(role, [key], [value], None if partition is None else [partition]))

    def bus(self, _: str = "") -> MemoryBus:
        """As of a connection."""
        return self.names

    def explained(self) -> Explanation:
        """What is found out."""
        return explain(self.answer, read(self.names, *CONTROL_ROLES), PIPELINE)


def test_model_training_approval_and_cut_over_of_an_answer_are_found() -> None:
    """The cut-over is the last one at or before the offset of the event's features."""
    stage = Stage()
    found = stage.explained()
    assert found.model is not None
    assert found.training is not None
    assert found.epoch is not None
    assert found.cut_over is not None
    assert (found.model.version, found.training.last.training) == ("1.2.0", stage.training)
    assert (found.epoch.epoch, found.epoch.approval.kind, found.epoch.approval.what) == (7, "policy", "gated")
    assert (found.cut_over.first_offset, found.resident) == (98_000, ("1.1.0",))


def test_model_that_was_trained_elsewhere_has_no_training() -> None:
    """That is said, and the rest all the same."""
    found = Stage(trained=False).explained()
    assert found.training is None
    assert found.epoch is not None


def test_event_without_an_answer_is_an_error_that_says_where_to_look() -> None:
    """An id is an id: a part of one is none."""
    stage = Stage()
    for name in ("application", "nothing"):
        with pytest.raises(OperateError, match="freshet dead-letters list"):
            predictions_of(stage.bus(), name)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_explain_prints_all_of_it(options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For a person and for a program."""
    stage = Stage()
    monkeypatch.setattr(command, "connect", lambda *_: cast(Connection, stage))
    named = SimpleNamespace(spec=SimpleNamespace(feature_names=("amount",)))
    monkeypatch.setattr(command, "published", lambda *_: named)
    done = CliRunner().invoke(entry.app, ["explain", EVENT, "--pipeline", PIPELINE, *options])
    assert done.exit_code == 0, done.output
    assert stage.training in done.output
    if options:
        document: list[dict[str, Any]] = json.loads(done.output)
        assert document[0]["cut_over"]["first_offset"] == 98_000
    else:
        assert "rollout policy gated; epoch 7" in done.output
        assert "command c1, asked by ann@host" in done.output
