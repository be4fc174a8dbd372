"""What a stranger writes beside signed epochs and versions is no breach, where the trust file tells the two apart."""

from collections.abc import Sequence

import pytest

from freshet.avro.control import encode
from freshet.contracts.messages import Cutover, Message, ModelVersion, PipelineRecord, Rollout
from freshet.contracts.topic_table import TopicNames
from freshet.operate.verify.contradictions import contradictions
from freshet.operate.verify.control_history import read_history
from freshet.operate.verify.evidence import History
from freshet.operate.verify.findings import Finding
from freshet.operate.verify.judge import judge
from freshet.operate.verify.signatures import signatures
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from support.evidence import good
from support.inference import PIPELINE, model, rollout, specification
from support.signed import KeyRing, demanding, signed_epoch, signed_version

RING = KeyRing()
OLD, NEW = (signed_version(model(version), RING.builder) for version in ("1.0.0", "2.0.0"))
LIFE = (demanding(specification()), OLD, NEW)


def epoch(number: int, version: ModelVersion) -> Rollout:
    """A signed epoch."""
    return signed_epoch(rollout(number, version.version), RING.release, version)


def cut(number: int, offset: int = 0) -> Cutover:
    """Partition 0 has come to this epoch."""
    return Cutover(
        pipeline=PIPELINE,
        lane="serve",
        topic_id="now",
        partition=0,
        first_offset=offset,
        epoch=number,
        fallback=0,
        cause="start",
    )


def read(*told: Message | str, keys: KeyRing | None = RING) -> History:
    """What verify makes of these control records, in this order; an epoch's number alone is its tombstone."""
    cluster, names = MemoryCluster(), TopicNames("", PIPELINE)
    cluster.ensure(names, 1)
    bus = MemoryBus(cluster, names)
    for one in told:
        role, key = ("rollouts", one) if isinstance(one, str) else _place(one)
        value = None if isinstance(one, str) else encode(one)
        bus.producer().send(Send(role, [f"{PIPELINE}/{key}".encode()], [value]))
    return read_history(bus, PIPELINE, "now", keys.now if keys else None)


def _place(message: Message) -> tuple[str, str]:
    match message:
        case Rollout():
            return "rollouts", str(message.epoch)
        case ModelVersion():
            return "models", message.version
        case PipelineRecord():
            return "pipelines", str(message.number)
        case _:
            assert isinstance(message, Cutover)
            return "cutovers", f"serve/now/0/{message.first_offset}"


def broken(history: History) -> list[Finding]:
    """Checks of what the registry wrote that find a breach."""
    return [one for one in (*contradictions(history), *signatures(history).findings) if not one.ok]


FORGED = epoch(1, OLD).model_copy(update={"epoch": 2})


@pytest.mark.parametrize("order", [(FORGED, epoch(2, NEW)), (epoch(2, NEW), FORGED)], ids=["before", "after"])
def test_an_old_epoch_with_its_number_raised_is_no_second_content(order: Sequence[Message]) -> None:
    """Nobody believed it: the registry's record of that number is the only one, and the other is named."""
    found = read(*LIFE, epoch(1, OLD), *order, cut(1), cut(2, 5))
    assert broken(found) == []
    assert found.ledger.epochs.told(2) == [epoch(2, NEW)]
    assert found.ledger.alarm == ""
    (told,) = found.foreign
    assert told.startswith(
        "rollouts: records of epochs that no trusted release key has signed as they are were left out"
    )
    assert "epoch 2: signature_invalid" in told
    evidence = good()
    evidence.history.foreign = found.foreign
    assert told in judge(evidence).warnings


def test_without_the_trust_file_nobody_can_tell() -> None:
    """It is a contradiction then, as before."""
    found = read(*LIFE, epoch(1, OLD), FORGED, epoch(2, NEW), cut(2, 5), keys=None)
    assert [one.check for one in broken(found)] == ["an epoch has one content"]
    assert found.foreign == []


def test_an_epoch_that_nobody_signed_and_nobody_came_to_is_named() -> None:
    """Of an earlier life, too. What partitions came to is a breach, and stays one."""
    earlier = signed_epoch(rollout(7, "1.0.0"), RING.release, OLD, life="a0")
    found = read(*LIFE, epoch(1, OLD), rollout(9, "1.0.0"), earlier, cut(1))
    assert broken(found) == []
    assert [*found.ledger.epochs.records] == [1]
    assert "epoch 9: signature_missing, epoch 7: signature_other_life" in found.foreign[0]
    found = read(*LIFE, epoch(1, OLD), rollout(9, "1.0.0"), cut(1), cut(9, 5))
    assert [one.breaches for one in broken(found)] == [1]
    assert found.foreign == []


def test_two_signed_contents_are_two_registries() -> None:
    """Both bear signatures that count: that is what the check is for."""
    found = read(*LIFE, epoch(1, OLD), epoch(2, OLD), epoch(2, NEW), cut(2, 5))
    assert [one.check for one in broken(found)] == ["an epoch has one content"]


def test_epochs_from_before_the_demand_and_of_revoked_keys_are_nobodys_forgeries() -> None:
    """They were the registry's; only what is at or above the first signed one is a stranger's."""
    before = specification(number=1)
    history = read(
        before,
        demanding(specification(number=2)),
        OLD,
        NEW,
        rollout(1, "1.0.0"),
        epoch(3, OLD),
        rollout(4, "1.0.0"),
        cut(3),
    )
    assert sorted(history.ledger.epochs.records) == [1, 3]
    ring = KeyRing()
    built = signed_version(model("1.0.0"), ring.builder)
    told = signed_epoch(rollout(1, "1.0.0"), ring.release, built)
    ring.revoke(ring.release)
    assert read(demanding(specification()), built, told, cut(1), keys=ring).foreign == []


def test_an_earlier_life_is_not_looked_at() -> None:
    """The deletion took its epochs, whose signatures are of that life."""
    earlier = signed_epoch(rollout(1, "1.0.0"), RING.release, OLD, life="a0")
    assert read(earlier, "1", *LIFE, epoch(1, OLD), cut(1)).foreign == []


@pytest.mark.parametrize("named", [True, False], ids=["an epoch names it", "none does"])
@pytest.mark.parametrize("signed", [True, False], ids=["another's signature", "unsigned"])
def test_a_number_that_a_stranger_gave_to_another_model_is_no_second_artifact(*, named: bool, signed: bool) -> None:
    """Unsigned, or with the signed manifest of another version: epochs tell which one is meant."""
    other = model("2.0.0", digest_of="other")
    other = signed_version(other, RING.builder) if signed else other
    found = read(*LIFE, other, epoch(1, OLD), *([epoch(2, NEW)] if named else []), cut(1))
    if signed and not named:
        assert [one.check for one in broken(found)] == ["a version has one artifact"]
        return
    assert broken(found) == []
    assert found.ledger.versions.told("2.0.0") == [NEW]
    (told,) = found.foreign
    assert told.startswith("models: records of versions beside those that trusted keys have signed")
