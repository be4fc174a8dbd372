"""A worker of a pipeline that demands signatures: which epochs count for it, and which versions it loads."""

from collections.abc import Mapping

import pytest

from freshet.contracts.errors import UnsetError
from freshet.contracts.messages import ModelVersion, Rollout
from freshet.ledger.manifest_id import manifest_id
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import builder_statement, release_statement
from support.inference import Worker, model, rollout, specification
from support.signed import KeyRing, demanding


def worker(ring: KeyRing) -> Worker:
    """One that has read the specification, and trusts the ring's keys."""
    return Worker(keys=ring.keys).learn(demanding(specification()))


def made(version: str, *keys: SigningKey) -> ModelVersion:
    """A version that these keys have signed."""
    record = model(version)
    signatures = {name: value for key in keys for name, value in key.sign(builder_statement(record.manifest)).items()}
    return record.model_copy(update={"signatures": signatures})


def epoch(key: SigningKey, number: int, version: str, life: str = "a1", **but: object) -> Rollout:
    """A live epoch with this version, signed by this key; `but` is changed before it is signed."""
    known: Mapping[str, str] = {version: manifest_id(model(version).manifest)}
    record = rollout(number, version).model_copy(update={"life": life, "manifests": known, **but})
    return record.model_copy(update={"signatures": key.sign(release_statement(record))})


def serving(ring: KeyRing) -> Worker:
    """One that answers with 1.0.0 under epoch 1."""
    found = worker(ring).learn(made("1.0.0", ring.builder), epoch(ring.release, 1, "1.0.0"))
    found.settle()
    assert found.state.live_epoch == 1
    return found


def test_only_a_signed_epoch_counts() -> None:
    """A stranger's epoch, one without a signature, one that was changed: the worker goes on, and says so."""
    ring = KeyRing()
    found = serving(ring).learn(made("1.1.0", ring.builder))
    good = epoch(ring.release, 2, "1.1.0")
    for forged, code in (
        (good.model_copy(update={"signatures": {}}), "signature_missing"),
        (epoch(ring.stranger, 2, "1.1.0"), "signature_unknown_key"),
        (epoch(ring.builder, 2, "1.1.0"), "signature_wrong_role"),
        (good.model_copy(update={"cause": "other"}), "signature_invalid"),
        (epoch(ring.release, 2, "1.1.0", life="a0"), "signature_other_life"),
    ):
        found.learn(forged)
        found.settle()
        assert found.state.live_epoch == 1
        (told,) = found.state.warnings
        assert told.startswith("epoch 2 of ")
        assert code in told
        assert code in (found.logic.unready() or "")
        assert "freshet rights show" in told, "a stranger may have written it"
        assert ("Start the registry" in told) == (code in ("signature_missing", "signature_wrong_role"))
    found.learn(good)
    found.settle()
    assert (found.state.live_epoch, found.state.warnings) == (2, ())


def test_an_old_epoch_that_is_written_again_changes_nothing() -> None:
    """Its signature is good, its number is not the highest; somebody has written it, and that is told until epoch 3."""
    ring = KeyRing()
    found = serving(ring).learn(made("1.1.0", ring.builder), epoch(ring.release, 2, "1.1.0"))
    found.settle()
    assert not found.state.warnings
    for _ in range(2):
        found.learn(epoch(ring.release, 1, "1.0.0"))
        found.settle()
    assert found.state.live_epoch == 2
    (told,) = found.state.warnings
    assert told.startswith("epoch 1 of fraud was written again as the registry once signed it.")
    assert found.logic.unready() is None
    found.learn(epoch(ring.release, 3, "1.0.0"))
    found.settle()
    assert not found.state.warnings


def test_a_known_epoch_that_is_written_over_is_told() -> None:
    """Nothing changes for who runs, but whoever starts after compaction would not know who answers."""
    ring = KeyRing()
    found = serving(ring)
    found.learn(epoch(ring.release, 1, "1.0.0").model_copy(update={"signatures": {}}))
    found.settle()
    assert found.state.live_epoch == 1
    (told,) = found.state.warnings
    assert "promote the version that answers again" in told
    assert "signature_missing" in told


def test_a_prepare_that_goes_live_is_nobodys_meddling() -> None:
    """Each record of an epoch comes once, in its phases; so does an aborted one."""
    ring = KeyRing()
    found = serving(ring).learn(made("1.1.0", ring.builder))
    for number, last in ((2, "aborted"), (3, "live")):
        found.learn(epoch(ring.release, number, "1.1.0", phase="prepare"))
        found.settle()
        found.learn(epoch(ring.release, number, "1.1.0", phase=last))
        found.settle()
        assert not found.state.warnings
    assert found.state.live_epoch == 3


@pytest.mark.parametrize("case", ["unsigned", "another model"])
def test_a_version_that_no_builder_signed_is_not_loaded(case: str) -> None:
    """Even where a signed epoch names it: the worker stays with what it had, and tells the registry why."""
    ring = KeyRing()
    found = serving(ring)
    if case == "unsigned":
        found.learn(made("1.1.0"), epoch(ring.release, 2, "1.1.0"))
    else:  # the record of the version is another signed model's
        found.learn(made("1.1.0", ring.builder), epoch(ring.release, 2, "1.1.0", manifests={"1.1.0": "0" * 64}))
    found.settle()
    assert found.loads == ["1.0.0"]
    state = found.state
    assert state.live_epoch == 1
    (verdict,) = [prepared for prepared in state.prepared if prepared.epoch == 2]
    assert verdict.verdict == ("signature_missing" if case == "unsigned" else "signature_other_model")


def test_what_is_live_outlives_the_revocation_of_its_builder() -> None:
    """A running worker goes on and says so; so does one that starts now; a prepare with such a version is refused."""
    ring = KeyRing()
    found = serving(ring)
    ring.revoke(ring.builder)
    found.settle()
    assert found.state.live_epoch == 1
    assert "signature_revoked_key" in found.state.warnings[0]
    fresh = serving(ring)
    assert "signature_revoked_key" in fresh.state.warnings[0]
    fresh.learn(made("1.1.0", ring.builder), epoch(ring.release, 2, "1.1.0", phase="prepare"))
    fresh.settle()
    assert fresh.loads == ["1.0.0"]


def test_only_what_answers_is_said_to_go_on_answering() -> None:
    """The key of the understudy's builder is revoked: it stays that, and answers nothing."""
    ring = KeyRing()
    ring.trust(ring.stranger, "builder")
    known = {version: manifest_id(model(version).manifest) for version in ("1.0.0", "1.1.0")}
    live = epoch(ring.release, 2, "1.1.0", manifests=known, understudies={"1.1.0": "1.0.0"})
    found = serving(ring).learn(made("1.1.0", ring.stranger), live)
    found.settle()
    assert found.state.live_epoch == 2
    ring.revoke(ring.builder)
    found.settle()
    (told,) = found.state.warnings
    assert told.startswith("1.0.0 stays the understudy of the live epoch, but no new epoch will name it: ")
    ring.revoke(ring.stranger)
    found.settle()
    assert [told.partition(",")[0] for told in found.state.warnings] == [
        "1.0.0 stays the understudy of the live epoch",
        "1.1.0 goes on answering",
    ]


def test_an_epoch_of_a_revoked_release_key() -> None:
    """It stays with who believed it, and says so; nobody who starts now believes it, and the next one needs a key."""
    ring = KeyRing()
    found = serving(ring)
    ring.revoke(ring.release)
    found.settle()
    assert found.state.live_epoch == 1
    assert "a restarted worker would not believe it" in found.state.warnings[0]
    fresh = worker(ring).learn(made("1.0.0", ring.builder), epoch(ring.release, 1, "1.0.0"))
    fresh.settle()
    assert fresh.loads == []
    assert "signature_revoked_key" in (fresh.logic.unready() or "")


def test_a_key_that_is_trusted_later_counts_then() -> None:
    """Rotation: the registry may change its key before every worker's file has changed."""
    ring = KeyRing()
    found = serving(ring).learn(made("1.1.0", ring.builder), epoch(ring.stranger, 2, "1.1.0"))
    found.settle()
    assert found.state.live_epoch == 1
    ring.trust(ring.stranger, "release")
    found.settle()
    assert found.state.live_epoch == 2


def test_a_worker_without_a_trust_file_does_not_start() -> None:
    """It could judge nothing: a settings error, with the variable's name."""
    with pytest.raises(UnsetError, match="FRESHET_TRUST"):
        Worker().learn(demanding(specification()))
