"""The ledger: what topics say together, whatever the order in which their facts come."""

import random

import pytest

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Change, Cutover, Message, ModelVersion, Rollout
from freshet.contracts.position import Position
from freshet.ledger.ledger import Ledger, PipelineLedger
from support.inference import PIPELINE, manifest, model, rollout, specification
from support.registry import worker


def folded(*messages: Message) -> PipelineLedger:
    """What one pipeline's ledger says after these records."""
    ledger = PipelineLedger(PIPELINE)
    for at, message in enumerate(messages):
        ledger.fold(Fact("", "", message, at, at))
    return ledger


def left(version: str, epoch: int, to: str) -> Rollout:
    """An epoch by which a rollback leaves `version`."""
    return rollout(epoch, to).model_copy(update={"cause": f"rollback from {version}"})


def test_who_answers_is_wanted_first_and_live_before_prepare() -> None:
    """Loading order: champion, understudy, resident of the live epoch, then the same of the open prepare."""
    ledger = folded(
        rollout(2, "v2", understudy="v1", resident=["v0", "v2"]),
        rollout(3, "v3", understudy="v2", resident=["v9"], phase="prepare"),
    )
    assert ledger.wanted() == ["v2", "v1", "v0", "v3", "v9"]
    assert ledger.resident() == {"v0", "v1", "v2", "v3", "v9"}


def test_a_table_of_several_versions_is_not_loaded_by_who_serves_one_but_not_evicted_either() -> None:
    """A newer release beside it may serve both, and a rollback may want its versions."""
    ledger = folded(rollout(2, ["v1", "v2"], resident=["v1"]))
    assert ledger.wanted() == []
    assert ledger.wanted(entries=2) == ["v1", "v2"]
    assert ledger.resident() == {"v1", "v2"}


def test_a_revoked_artifact_is_not_wanted() -> None:
    """The newest live record forbids artifacts by digest, under whatever version they run."""
    ledger = folded(rollout(2, "v2", resident=["v1"], revoked=["v1"]), model("v1"), model("v2"))
    assert ledger.wanted() == ["v2"]
    assert [ledger.is_revoked(version) for version in ("v1", "v2", "v3")] == [True, False, False]


def test_a_version_with_another_artifact_is_the_last_one_to_all_readers_and_a_person_is_told() -> None:
    """A version number is given once; a record of its other states is no second artifact."""
    ledger = folded(model("v1"), model("v1").model_copy(update={"state": "retired"}))
    assert ledger.alarm == ""
    ledger.fold(Fact("models", "", model("v1", digest_of="other")))
    assert ledger.versions.records["v1"].manifest == manifest("other")
    assert ledger.versions.same_bytes(manifest("v1").digest) == ()
    assert [record.manifest.digest for record in ledger.versions.told("v1")] == [
        manifest("v1").digest,
        manifest("other").digest,
    ]
    assert "version v1" in ledger.alarm


def test_other_pipelines_are_none_of_ours() -> None:
    """Control topics are global: records of other pipelines change nothing."""
    ledger = folded(
        *(message.model_copy(update={"pipeline": "other"}) for message in (rollout(9, "v9"), model("v9"), worker()))
    )
    assert (ledger.epochs.live, ledger.versions.records, ledger.workers.beats) == (None, {}, {})


HISTORY = [
    *(model(version) for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")),
    rollout(1, "1.0.0"),
    rollout(2, "1.1.0"),
    rollout(3, "1.2.0", phase="aborted"),
    left("1.1.0", 4, to="1.0.0"),
    rollout(5, "1.3.0"),
    model("1.2.0").model_copy(update={"state": "retired", "history": (), "candidate_offset": 7}),
]


def test_who_served_before_is_nobody_that_a_rollback_left_or_that_may_not_serve() -> None:
    """The last one to serve comes first; a version that is named again counts again."""
    ledger = folded(*HISTORY)
    assert list(ledger.served_before("1.3.0")) == ["1.0.0"]
    assert ledger.rollback_target() == "1.0.0"
    assert ledger.epochs.left_behind("1.1.0")
    ledger.fold(Fact("rollouts", "", rollout(6, "1.1.0")))
    assert list(ledger.served_before("1.1.0")) == ["1.3.0", "1.0.0"]
    quarantined = model("1.3.0").model_copy(update={"state": "quarantined"})
    ahead = ledger.after([quarantined])
    assert (list(ahead.served_before("1.1.0")), ahead.versions.quarantined) == (["1.0.0"], {"1.3.0"})
    assert (list(ledger.served_before("1.1.0")), ledger.versions.quarantined) == (["1.3.0", "1.0.0"], set())
    assert ledger.versions.may_serve("1.3.0")


@pytest.mark.parametrize("seed", range(20))
def test_facts_may_come_in_any_order_and_twice(seed: int) -> None:
    """Topics are read beside each other; what they say does not depend on how they mix."""
    expected, chance = folded(*HISTORY), random.Random(seed)
    mixed = [message for message in HISTORY if not _is_state_of_1_2_0(message) for _ in range(chance.choice([1, 2]))]
    chance.shuffle(mixed)
    ledger = folded(*mixed)
    assert ledger.alarm == ""
    assert ledger.epochs.live == expected.epochs.live
    assert (ledger.epochs.tried, ledger.epochs.free_above()) == (expected.epochs.tried, expected.epochs.free_above())
    for version in ("1.0.0", "1.1.0", "1.3.0"):
        assert list(ledger.served_before(version)) == list(expected.served_before(version))
        assert ledger.epochs.last_led(version) == expected.epochs.last_led(version)


def _is_state_of_1_2_0(message: Message) -> bool:
    """Two records of one version with equal history: only their order tells which is newer."""
    return isinstance(message, ModelVersion) and message.version == "1.2.0"


def test_a_rollback_goes_to_the_understudy_while_that_may_serve() -> None:
    """Workers hold it. One that was retired meanwhile, or that a rollback left, is passed over."""
    versions = [model(version) for version in ("v1", "v2", "v3")]
    ledger = folded(*versions, rollout(1, "v2"), rollout(2, "v1"), rollout(3, "v3", understudy="v2"))
    assert ledger.rollback_target() == "v2"
    ledger.fold(Fact("models", "", model("v2").model_copy(update={"state": "retired"})))
    assert ledger.rollback_target() == "v1"
    ledger = folded(
        *versions, rollout(1, "v1"), rollout(2, "v2"), left("v2", 3, to="v1"), rollout(4, "v3", understudy="v2")
    )
    assert ledger.rollback_target() == "v1"


def test_nobody_is_left_behind_who_never_served() -> None:
    """Not even if a rollback is the oldest epoch that there is a record of."""
    assert not folded(left("1.1.0", 4, to="1.0.0")).epochs.left_behind("1.1.0")


def test_a_contradiction_changes_who_served_before() -> None:
    """What follows from an epoch follows from the record in force."""
    ledger = folded(model("v1"), model("v2"), model("v3"), rollout(1, "v1"), rollout(2, "v2"), rollout(3, "v3"))
    assert list(ledger.served_before("v3")) == ["v2", "v1"]
    ledger.fold(Fact("rollouts", "", rollout(2, "v2", phase="aborted")))
    assert list(ledger.served_before("v3")) == ["v1"]


def test_of_two_records_of_a_version_the_one_with_more_history_is_the_newer() -> None:
    """An older record that is read again does not bring back its state."""
    older = model("v1")
    newer = older.model_copy(update={"state": "quarantined", "history": (Change(at_ms=1, what="failed"),)})
    ledger = folded(older, newer, older)
    assert ledger.versions.records["v1"] == newer
    assert (ledger.versions.quarantined, ledger.revoked()) == ({"v1"}, {manifest("v1").digest})


def test_versions_are_in_the_order_of_their_numbers() -> None:
    """1.10.0 is newer than 1.9.0; what is no number is a stranger's, and oldest."""
    ledger = folded(*(model(version) for version in ("1.9.0", "nonsense", "1.10.0")))
    assert [one.version for one in ledger.versions.states] == ["nonsense", "1.9.0", "1.10.0"]
    assert ledger.versions.newest == model("1.10.0")
    ledger.fold(Fact("models", "", model("1.9.0").model_copy(update={"state": "retired"})))
    assert [one.state for one in ledger.versions.states] == ["admitted", "retired", "admitted"]


def test_a_verdict_is_on_a_manifest_and_a_refusal_on_its_record() -> None:
    """A candidate that is published again waits for a new word; once admitted it is so for good."""
    refusal = model("", digest_of="m").model_copy(update={"state": "refused", "candidate_offset": 5})
    ledger = folded(refusal)
    assert ledger.versions.verdict(manifest("m"), 5) == refusal
    assert ledger.versions.verdict(manifest("m"), 6) is None
    assert ledger.versions.in_force() == [refusal]
    admitted = refusal.model_copy(update={"state": "admitted", "version": "1.0.0", "candidate_offset": 6})
    ledger.fold(Fact("models", "", admitted))
    assert ledger.versions.verdict(manifest("m"), 6) == ledger.versions.verdict(manifest("m")) == admitted
    assert ledger.versions.verdict(manifest("m"), 7) is None
    assert ledger.versions.in_force() == [admitted]


def cut(topic_id: str, first_offset: int, epoch: int, fallback: int = 0) -> Cutover:
    return Cutover(
        pipeline=PIPELINE,
        lane="serve",
        topic_id=topic_id,
        partition=0,
        first_offset=first_offset,
        epoch=epoch,
        fallback=fallback,
        cause="rollout",
    )


def test_cut_overs_are_those_of_the_topic_that_was_last_written_about() -> None:
    """Offsets of a topic that was deleted and made anew say nothing about the new one's."""
    ledger = folded(cut("old", 900, 1), cut("new", 40, 1), cut("new", 50, 1, 1), cut("new", 70, 2))
    found = [ledger.cutovers.since("serve", 0, position) for position in (Position(1), Position(1, 1), Position(3))]
    assert found == [40, 50, None]
    assert ledger.cutovers.to_epoch(1) == {0: cut("new", 40, 1)}
    assert len(ledger.cutovers.told) == 4


def test_a_deleted_pipeline_begins_anew() -> None:
    """Each topic's tombstones forget what it said; a neighbour's change nothing."""
    ledger = Ledger()
    records = {
        "models": ("fraud/1.0.0", model("1.0.0")),
        "rollouts": ("fraud/1", rollout(1, "1.0.0")),
        "cutovers": ("fraud/serve/t/0/5", cut("t", 5, 1)),
        "workers": ("inference/fraud/0", worker("inference/fraud/0")),
        "pipelines": ("fraud/1", specification()),
    }
    for role, (key, message) in records.items():
        ledger.fold(Fact(role, key, message))
        ledger.fold(Fact(role, key.replace("fraud", "fraud-2"), None))
    found = ledger.of(PIPELINE)
    assert (found.epochs.serving, list(found.served_before(""))) == ("1.0.0", ["1.0.0"])
    assert (len(found.cutovers.told), len(found.workers.beats), found.deleted) == (1, 1, False)
    for role, (key, _) in records.items():
        ledger.fold(Fact(role, key, None))
    assert (found.epochs.live, found.versions.records, list(found.served_before(""))) == (None, {}, [])
    assert (found.cutovers.told, found.workers.beats, found.specification, found.deleted) == ([], {}, None, True)


def test_a_worker_is_alive_by_the_newest_beat_of_anybody_or_by_a_clock() -> None:
    """Nobody dies while all are silent; another pipeline's beat makes an old one old."""
    ledger = Ledger()

    def beat(pipeline: str, at_ms: int) -> None:
        told = worker(pipeline).model_copy(update={"pipeline": pipeline})
        ledger.fold(Fact("workers", pipeline, told, at_ms, at_ms))

    beat("a", 1_000)
    workers = ledger.of("a").workers
    assert (list(workers.alive("inference")), list(workers.serving())) == (["a"], ["a"])
    assert list(workers.alive("inference", 4_001)) == []
    beat("b", 4_000)
    assert list(workers.alive("inference")) == ["a"]
    beat("b", 4_001)
    beat("c", 2_000)
    assert (list(workers.alive("inference")), list(workers.serving())) == ([], [])
