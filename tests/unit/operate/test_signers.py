"""Who signed a model, as `model show` and `model list` say it."""

from freshet.contracts.logic import Fact
from freshet.ledger.ledger import Ledger
from freshet.operate.model_status import version_rows
from freshet.operate.signers import UNCHECKED, signed_by, signers
from support.inference import PIPELINE, model
from support.signed import KeyRing, signed_version


def test_each_signature_is_judged_by_the_trust_file_at_hand() -> None:
    """Trusted, revoked, a stranger's, another role's, of something else; without a file nothing is claimed."""
    ring = KeyRing()
    record = signed_version(model("1.0.0"), ring.builder, ring.stranger, ring.release)
    assert signers(record, None) == dict.fromkeys(sorted(record.signatures), UNCHECKED)
    assert signers(record, ring.now) == {
        ring.builder.id: "trusted",
        ring.stranger.id: "not in the trust file",
        ring.release.id: "no builder's key",
    }
    ring.revoke(ring.builder)
    assert signers(record, ring.now)[ring.builder.id] == "revoked"
    ring.trust(ring.builder, "builder")
    forged = model("1.0.0").model_copy(update={"signatures": {ring.builder.id: b"x" * 64}})
    assert signers(forged, ring.now) == {ring.builder.id: "not its signature"}
    assert (signers(model("1.0.0"), ring.now), signed_by({})) == ({}, "")


def test_a_list_of_versions_tells_it() -> None:
    """Of each row."""
    ring = KeyRing()
    made = signed_version(model("1.0.0"), ring.builder)
    ledger = Ledger([Fact("models", PIPELINE, record, at, at) for at, record in enumerate((made, model("1.1.0")))])
    assert [signed_by(row["signed_by"]) for row in version_rows(ledger, PIPELINE, ring.now)] == [
        f"{ring.builder.id} (trusted)",
        "",
    ]
