"""Whoever asked for a training is told what became of its model."""

from typing import cast

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Change, Decision, Message, ModelVersion, Rollout, Share
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.training_message import Training
from freshet.operate import candidate_fate
from freshet.operate.candidate_fate import fate_of
from freshet.operate.connection import Connection
from freshet.operate.operate_error import OperateError
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from support.registry import PIPELINE, candidate
from support.retraining import World, specification

NAMES = TopicNames("", PIPELINE)
GATE = "gate: [{metric: accuracy, at_least: 0.5}]"


class Stage:
    """A broker in memory, and a training that has finished."""

    def __init__(self, policy: str, retraining: str = GATE, gate: str = "pass") -> None:
        self.cluster, self.told = MemoryCluster(), list[str]()
        self.cluster.ensure(NAMES, 1)
        self.say = self.told.append
        world = World(rows=5000)
        world.apply(retraining)
        world.ask("c1")
        (done,) = [record for record in world.settle() if record.phase == "finished"]
        self.training: Training = done.model_copy(update={"gate": gate})
        self.put("pipelines", f"{PIPELINE}/1", specification(retraining, policy=policy))

    def bus(self) -> MemoryBus:
        """As of a connection."""
        return MemoryBus(self.cluster, NAMES)

    def put(self, role: str, key: str, message: Message) -> None:
        """A record on a control topic."""
        self.bus().producer().send(Send(role, [key.encode()], [encode(message)]))

    def judge(self, version: str, state: str, reason: str = "") -> None:
        """The registry's word on the candidate."""
        manifest = candidate("m", lineage={"training": self.training.training}).manifest
        history = (Change(at_ms=1, what=reason),)
        said = {"pipeline": PIPELINE, "version": version, "state": state, "reason": reason, "history": history}
        self.put("models", f"{PIPELINE}/{version or 'm1'}", ModelVersion.model_validate({**said, "manifest": manifest}))

    def serve(self, version: str) -> None:
        """An epoch of this version is live."""
        table = (Share(version=version, share=10_000),)
        made = Rollout(pipeline=PIPELINE, epoch=1, phase="live", table=table, salt="s", understudies={}, cause="policy")
        self.put("rollouts", f"{PIPELINE}/1", made)

    def fate(self) -> candidate_fate.Fate:
        """What `freshet retrain` asks."""
        return fate_of(cast(Connection, self), self.training)


def test_a_refused_model_is_told_with_its_reason() -> None:
    """A training that went well is no success if its model is refused; the command ends with 4."""
    stage = Stage("immediate")
    stage.judge("", "refused", "signature_revoked_key: it is signed by k1, which was revoked.")
    found = stage.fate()
    assert (found.refused, found.live) == (True, False)
    assert "refused its model: signature_revoked_key" in found.told


def test_a_model_that_goes_live_is_named_with_its_version() -> None:
    """Not only that it exists."""
    stage = Stage("gated")
    stage.judge("1.1.0", "admitted", "admitted as 1.1.0.")
    stage.serve("1.1.0")
    found = stage.fate()
    assert (found.refused, found.live, found.told) == (False, True, "Its model is live: 1.1.0 answers.")


@pytest.mark.parametrize(
    ("policy", "retraining", "gate", "words"),
    [
        ("gated", GATE, "fail", "It is not rolled out, since its gate failed; `freshet model promote 1.1.0"),
        ("gated", "seed: 1", "none", "gate has no clauses; `freshet model promote 1.1.0"),
        ("immediate", f"{GATE}, approval: required", "pass", "It waits for approval: `freshet model promote 1.1.0"),
        ("manual", GATE, "pass", "The policy is manual: it may wait for `freshet model promote 1.1.0"),
    ],
)
def test_a_model_that_waits_says_for_whom(policy: str, retraining: str, gate: str, words: str) -> None:
    """The version is there, and nothing is waited for that will not come by itself."""
    stage = Stage(policy, retraining, gate)
    stage.judge("1.1.0", "admitted", "admitted as 1.1.0.")
    found = stage.fate()
    assert (found.refused, found.live) == (False, False)
    assert found.told.startswith("Its model is there as 1.1.0, admitted. ")
    assert words in found.told


def test_a_model_that_the_policy_holds_back_all_the_same_says_why() -> None:
    """Another version answers by now than the one it was compared with: nobody waits half a minute for that."""
    stage = Stage("gated")
    stage.judge("1.1.0", "admitted", "admitted as 1.1.0.")
    reason = "gate: refused, since it was compared with 1.0.0, and 1.0.1 answers now."
    said = Decision(pipeline=PIPELINE, about="rollout", subject="1.1.0", verdict="refused", reason=reason)
    stage.put("decisions", PIPELINE, said)
    found = stage.fate()
    assert not found.live
    assert found.told == f"Its model is there as 1.1.0, admitted. It is not rolled out: {reason}"


def test_a_model_that_is_not_live_in_time_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers may load for longer than anybody waits."""
    monkeypatch.setattr(candidate_fate, "_LIVE_S", 0.2)
    stage = Stage("gated")
    stage.judge("1.1.0", "admitted", "admitted as 1.1.0.")
    assert "`freshet model status --pipeline" in stage.fate().told


def test_a_registry_that_says_nothing_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training itself is done."""
    monkeypatch.setattr(candidate_fate, "VERDICT_S", 0.2)
    with pytest.raises(OperateError, match=r"has finished, and no verdict .* `freshet trainings show"):
        Stage("gated").fate()
