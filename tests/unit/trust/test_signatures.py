"""Keys, statements and verdicts: what a signature covers, and each way in which it may not count."""

from collections.abc import Callable

import pytest

from freshet.contracts.messages import Rollout, Share
from freshet.trust.signature_check import objection
from freshet.trust.signing_key import SigningKey, UnusableKeyError
from freshet.trust.statements import builder_statement, release_statement
from freshet.trust.trusted_keys import TrustedKeys
from support.registry import candidate
from support.signed import KeyRing

_MANIFEST = candidate("a").manifest
_EPOCH = Rollout(
    pipeline="loans", epoch=7, phase="live", table=(Share(version="1.0.0", share=10_000),), salt="s", cause="promote"
)


def test_a_statement_is_text_that_never_changes() -> None:
    """Signatures outlive releases: these bytes may never become others, nor those of a field at its default."""
    assert release_statement(_EPOCH) == (
        b'freshet release 1\n{"cause":"promote","epoch":7,"phase":"live","pipeline":"loans","salt":"s",'
        b'"table":[{"share":10000,"version":"1.0.0"}]}'
    )
    assert release_statement(_EPOCH.model_copy(update={"signatures": {"k": b"s"}})) == release_statement(_EPOCH)
    assert builder_statement(_MANIFEST).startswith(b'freshet builder 1\n{"chunk_bytes":1,')


@pytest.mark.parametrize(
    "change",
    [{"phase": "aborted"}, {"epoch": 8}, {"life": "b"}, {"manifests": {"1.0.0": "x"}}, {"pipeline": "fraud"}],
    ids=str,
)
def test_an_epochs_signature_covers_every_field(change: dict[str, object]) -> None:
    """Whoever changes anything needs the key again."""
    assert release_statement(_EPOCH.model_copy(update=change)) != release_statement(_EPOCH)


def test_several_keys_of_a_role_count_at_once() -> None:
    """Rotation: the old key and the new one are trusted, then the old one is revoked; one good signature is enough."""
    ring, statement = KeyRing(), builder_statement(_MANIFEST)
    ring.trust(ring.stranger, "builder")
    old, new = ring.builder.sign(statement), ring.stranger.sign(statement)
    assert objection("builder", statement, old, ring.now) is None
    assert objection("builder", statement, new, ring.now) is None
    ring.revoke(ring.builder)
    assert str(objection("builder", statement, old, ring.now)).startswith("signature_revoked_key: key ")
    assert objection("builder", statement, old | new, ring.now) is None


def test_a_key_survives_its_file() -> None:
    """What is read from PEM signs alike, and has the id that its public entry shows."""
    key = SigningKey.generate()
    again = SigningKey.of_pem(key.pem())
    assert (again.id, again.sign(b"x")) == (key.id, key.sign(b"x"))


BROKEN: dict[str, tuple[Callable[[str], str], str]] = {
    "no YAML": (lambda _: "a: [", "line 1: this is not valid YAML"),
    "another document": (lambda _: "a: 1", "must hold `keys`"),
    "no keys": (lambda _: "keys: []", "must be a list, an entry for each key"),
    "a field too many": (lambda text: text + "    more: 1\n", "exactly id, public_key, role, status"),
    "a role": (lambda text: text.replace("role: builder", "role: boss"), "builder or release"),
    "a status": (lambda text: text.replace("status: trusted", "status: old"), "trusted or revoked"),
    "an id": (lambda text: text.replace('id: "', 'id: "0'), "the id of its public_key is"),
    "a key": (lambda text: text.replace('public_key: "', 'public_key: "AAAA'), "32 bytes"),
    "twice": (lambda text: text + text.removeprefix("keys:\n"), "stands in it twice"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_trust_file_says_what_is_wrong_with_it(case: str) -> None:
    """The entry, and what it must hold."""
    breaks, told = BROKEN[case]
    with pytest.raises(UnusableKeyError, match=told):
        TrustedKeys.parse(breaks(KeyRing().text))


def test_what_is_no_key_is_refused() -> None:
    """A file of anything else is told from a key."""
    with pytest.raises(UnusableKeyError, match="freshet key new"):
        SigningKey.of_pem(b"nothing")
