"""Which version answered when, and who approved it."""

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Command, Cutover, Decision, Message, Phase, Rollout, Share
from freshet.contracts.topic_table import TopicNames
from freshet.operate.facts import ledger_of
from freshet.operate.model_history import ROLES, Approval, ModelHistory, model_history
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send


class Topics:
    """Control topics on the memory bus, written at times of our own."""

    def __init__(self) -> None:
        self.cluster, names = MemoryCluster(), TopicNames("", "p")
        self.cluster.ensure(names, 1)
        self.bus = MemoryBus(self.cluster, names)

    def tell(self, at_s: int, role: str, key: str, message: Message | None) -> None:
        self.cluster.now_ms = at_s * 1000
        value = None if message is None else encode(message)
        self.bus.producer().send(Send(role, [key.encode()], [value]))

    def epoch(
        self, at_s: int, number: int, version: str, cause: str, *, phase: Phase = "live", spare: str = ""
    ) -> None:
        """`cause` may name a command behind its action."""
        what, _, command_id = cause.partition(" ") if cause.startswith("promote") else (cause, "", "")
        rollout = Rollout(
            pipeline="p",
            epoch=number,
            phase=phase,
            table=(Share(version=version, share=10_000),),
            salt="p",
            understudies={version: spare} if spare else {},
            cause=what,
            command_id=command_id,
        )
        self.tell(at_s, "rollouts", f"p/{number}", rollout)

    def cut(self, at_s: int, partition: int, offset: int, epoch: int, *, fallback: int = 0, **but: str) -> None:
        cut = Cutover(
            pipeline="p",
            lane="serve",
            topic_id="now",
            partition=partition,
            first_offset=offset,
            epoch=epoch,
            fallback=fallback,
            cause="t",
        ).model_copy(update=but)
        key = f"{cut.pipeline}/{cut.lane}/{cut.topic_id}/{partition}/{offset}"
        self.tell(at_s, "cutovers", key, cut)

    def history(self) -> ModelHistory:
        return model_history(ledger_of(self.bus, *ROLES).of("p"))


@pytest.fixture
def topics() -> Topics:
    """A policy's epoch, and one that Ann asked for."""
    made = Topics()
    made.epoch(10, 1, "1.0.0", "policy immediate")
    made.cut(11, 0, 0, 1)
    made.cut(12, 1, 0, 1)
    asked = Command(
        command_id="c1", pipeline="p", action="promote", version="1.1.0", text="better", expires_at_ms=9, by="ann@desk"
    )
    made.tell(20, "commands", "p", asked)
    made.epoch(21, 2, "1.1.0", "promote c1", phase="prepare", spare="1.0.0")
    made.epoch(22, 2, "1.1.0", "promote c1", spare="1.0.0")
    made.cut(23, 0, 700, 2)
    made.cut(30, 0, 900, 2, fallback=1)
    return made


def test_every_stretch_has_its_version_offsets_and_times(topics: Topics) -> None:
    """A partition's stretch ends where its next one begins; a fallback is answered by the understudy."""
    topics.cut(40, 0, 5, 1, lane="shadow")
    topics.cut(41, 0, 5, 1, pipeline="another")
    found = [
        (one.partition, one.first_offset, one.end_offset, one.since_ms, one.until_ms, one.versions)
        for one in topics.history().answers
    ]
    assert found == [
        (0, 0, 700, 11_000, 23_000, ("1.0.0",)),
        (1, 0, None, 12_000, None, ("1.0.0",)),
        (0, 700, 900, 23_000, 30_000, ("1.1.0",)),
        (0, 900, None, 30_000, None, ("1.0.0",)),
    ]


def test_at_a_time_only_what_answered_then_is_left(topics: Topics) -> None:
    """Each partition has one version at any time since its first; a moment of a cut-over belongs to what follows."""
    history = topics.history()
    assert history.at(10_999) == ModelHistory((), ())
    assert [(one.partition, one.versions) for one in history.at(22_999).answers] == [(0, ("1.0.0",)), (1, ("1.0.0",))]
    then = history.at(23_000)
    assert [(one.partition, one.versions) for one in then.answers] == [(1, ("1.0.0",)), (0, ("1.1.0",))]
    assert [(epoch.epoch, epoch.live_ms) for epoch in then.epochs] == [(1, 10_000), (2, 22_000)]


def test_an_epoch_says_who_approved_it(topics: Topics) -> None:
    """A policy, an operator, or the registry itself; the operator is still known once the command's record is gone.

    The rollback is a record of an earlier release, which named the command in the cause.
    """
    topics.epoch(50, 3, "1.0.0", "quarantine 1.1.0")
    topics.epoch(60, 4, "1.1.0", "rollback gone")
    by = {"action": "rollback", "by": "bob@desk"}
    done = Decision(pipeline="p", about="command", subject="gone", verdict="done", reason="r", epoch=4, inputs=by)
    topics.tell(60, "decisions", "p", done)
    topics.epoch(70, 5, "1.0.0", "promote older")
    topics.epoch(80, 6, "1.1.0", "promote c1", phase="aborted")
    assert [(one.epoch, one.approval) for one in topics.history().epochs] == [
        (1, Approval("policy", "immediate")),
        (2, Approval("command", "promote", "ann@desk", "c1", "better", 20_000)),
        (3, Approval("registry", "quarantine 1.1.0")),
        (4, Approval("command", "rollback", "bob@desk", "gone")),
        (5, Approval("command", "promote", "", "older")),
    ]


def test_a_withdrawn_or_repeated_command_keeps_its_first_words(topics: Topics) -> None:
    """A command that was sent again under its id, as one taken back is, was given when it was first sent."""
    again = Command(command_id="c1", pipeline="p", action="promote", expires_at_ms=0, by="eve@desk")
    topics.tell(25, "commands", "p", again)
    assert topics.history().epochs[1].approval.by == "ann@desk"


def test_a_topic_that_was_made_anew_begins_at_its_own_offsets(topics: Topics) -> None:
    """The stretch before has no end in offsets of the new topic, but one in time."""
    topics.cut(99, 1, 0, 2, topic_id="anew")
    before, after = (one for one in topics.history().answers if one.partition == 1)
    assert (before.end_offset, before.until_ms) == (None, 99_000)
    assert (after.topic_id, after.first_offset, after.versions) == ("anew", 0, ("1.1.0",))


def test_a_deleted_life_is_forgotten(topics: Topics) -> None:
    """The next pipeline of that name begins with epoch 1 of its own."""
    for key in ("p/1", "p/2"):
        topics.tell(100, "rollouts", key, None)
    topics.tell(100, "cutovers", "p/serve/now/0/0", None)
    assert topics.history() == ModelHistory((), ())
    topics.epoch(110, 1, "3.0.0", "policy immediate")
    topics.cut(111, 0, 0, 1)
    assert [one.versions for one in topics.history().answers] == [("3.0.0",)]
