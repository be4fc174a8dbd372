"""Keys in files: made, shown, used for signing, followed by processes, and told when they cannot be used."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from freshet.cli.main import app
from freshet.models.bundle import Bundle
from freshet.operate.private_key import read_key, sign_bundle
from freshet.runtime.settings import SettingsError
from freshet.runtime.trust_file import TrustFile, signing_key
from freshet.trust.signature_check import objection
from freshet.trust.statements import builder_statement
from freshet.trust.trusted_keys import TrustedKeys
from support.models import linear, manifest_of
from support.registry import candidate
from support.signed import KeyRing


def test_a_new_key_is_private_and_its_entry_is_a_trust_file(tmp_path: Path) -> None:
    """Only its owner may read it, it is never written over, and what is printed can be trusted as it stands."""
    file = tmp_path / "builder.pem"
    made = CliRunner().invoke(app, ["key", "new", "--role", "builder", "--out", str(file)])
    assert made.exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    again = CliRunner().invoke(app, ["key", "new", "--role", "builder", "--out", str(file)])
    assert (again.exit_code, file.read_bytes()) == (5, before)
    shown = CliRunner().invoke(app, ["key", "show", str(file), "--role", "builder", "--json"])
    entry = json.loads(shown.stdout)
    keys = TrustedKeys.parse("keys:\n" + made.stdout)
    assert keys.trusts(entry["id"], "builder")
    assert b"PRIVATE" not in made.stdout_bytes + shown.stdout_bytes


def test_a_bundle_keeps_its_signatures(tmp_path: Path) -> None:
    """Several keys may sign; what is saved comes back, and a bundle that is packed anew has none."""
    ring, manifest = KeyRing(), candidate("a").manifest
    once = sign_bundle(Bundle(manifest, b""), ring.builder)
    twice = sign_bundle(once, ring.stranger)
    assert sorted(twice.signatures) == sorted([ring.builder.id, ring.stranger.id])
    assert objection("builder", builder_statement(manifest), twice.signatures, ring.now) is None
    twice.save(tmp_path)
    assert json.loads((tmp_path / "signatures.json").read_text()).keys() == twice.signatures.keys()
    Bundle(manifest, b"").save(tmp_path)
    assert not (tmp_path / "signatures.json").exists()


def test_a_changed_file_counts_without_a_restart(tmp_path: Path) -> None:
    """The same object until the file changes, so that nobody judges anew for nothing."""
    ring = KeyRing()
    path = ring.save(tmp_path)
    file = TrustFile(path)
    before = file()
    file.look()
    assert file() is before
    ring.revoke(ring.builder)
    ring.save(tmp_path)
    file.look()
    assert not file().trusts(ring.builder.id, "builder")


_ENTRY = "id: a, role: builder, status: trusted"
_BROKEN = {
    "of another shape": "keys: 1",
    "a date that does not exist": "keys: [2024-13-45]",
    "a number that is none": "keys: !!int a",
    "nested without end": "keys: " + "[" * 5_000,
    "a key with other letters": f"keys: [{{{_ENTRY}, public_key: é}}]",
    "a key written twice": f"keys: [{{{_ENTRY}, public_key: a, status: revoked}}]",
    "no list of names": "required_for: [[a]]",
    "nothing": "",
}
"""Trust files that nobody can use: what a hand, an editor or a broken template may leave there."""


@pytest.mark.parametrize("broken", [None, *_BROKEN.values()], ids=["gone", *_BROKEN])
def test_a_broken_file_leaves_the_keys_as_they_were(tmp_path: Path, broken: str | None) -> None:
    """Whoever can only remove it neither revokes nor trusts anybody; and a revocation that comes after it counts."""
    ring = KeyRing()
    path = ring.save(tmp_path)
    file = TrustFile(path)
    before = file()
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken)
    file.look()
    assert file() is before
    ring.revoke(ring.builder)
    ring.save(tmp_path)
    file.look()
    assert not file().trusts(ring.builder.id, "builder")


@pytest.mark.parametrize("content", [None, *_BROKEN.values()], ids=["missing", *_BROKEN])
def test_a_file_that_cannot_be_used_is_a_settings_error(tmp_path: Path, content: str | None) -> None:
    """With the variable's name, the path and what to do: the process ends with exit code 2."""
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=f"FRESHET_TRUST: .*{path}"):
        TrustFile(path)
    with pytest.raises(SettingsError, match=f"FRESHET_RELEASE_KEY: .*{path}"):
        signing_key(path, "FRESHET_RELEASE_KEY")


def test_verify_with_a_trust_file_that_is_not_there_ends_before_it_reads_anything(tmp_path: Path) -> None:
    """Exit code 2, and what to do; no Kafka is asked."""
    done = CliRunner().invoke(app, ["verify", "--pipeline", "loans", "--trust", str(tmp_path / "trust.yaml")])
    assert done.exit_code == 2
    assert "FRESHET_TRUST: the trust file" in done.stderr


def test_a_key_is_read_from_where_it_was_saved(tmp_path: Path) -> None:
    """The operator's way and a service's way read the same key."""
    ring = KeyRing()
    ring.save(tmp_path)
    found = signing_key(tmp_path / "builder.pem", "FRESHET_BUILDER_KEY")
    assert found is not None
    assert found.id == read_key(tmp_path / "builder.pem").id == ring.builder.id


@pytest.mark.parametrize(
    ("key", "trusted", "code"),
    [("builder", True, 0), ("builder", False, 0), ("release", True, 2), ("release", False, 0)],
)
def test_a_bundle_is_signed_with_a_key_that_the_named_trust_file_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, trusted: bool, code: int
) -> None:
    """Another key is refused in a sentence, and nothing is written; without a trust file nobody can tell."""
    trust = KeyRing().save(tmp_path)
    Bundle(manifest_of(linear()), linear()).save(tmp_path / "bundle")
    if trusted:
        monkeypatch.setenv("FRESHET_TRUST", str(trust))
    else:
        monkeypatch.delenv("FRESHET_TRUST", raising=False)
    done = CliRunner().invoke(app, ["model", "sign", str(tmp_path / "bundle"), "--key", str(tmp_path / f"{key}.pem")])
    assert (done.exit_code, (tmp_path / "bundle/signatures.json").exists()) == (code, code == 0), done.output
    if code:
        assert "does not hold it as a builder key" in done.stderr
    else:
        assert (f"{trust} trusts it" in done.stdout, "was not checked" in done.stdout) == (trusted, not trusted)


def test_a_wrong_signature_is_told_and_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By signing again with the right key alone; without being asked nothing is taken away."""
    monkeypatch.delenv("FRESHET_TRUST", raising=False)
    ring, bundle = KeyRing(), tmp_path / "bundle"
    ring.save(tmp_path)
    Bundle(manifest_of(linear()), linear()).save(bundle)

    def sign(key: str, *options: str) -> str:
        asked = ["model", "sign", str(bundle), "--key", str(tmp_path / f"{key}.pem"), *options]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "as its builder" not in sign("release")
    assert f"It also bears signatures of {ring.release.id}: --only" in sign("builder")
    assert Bundle.load(bundle).signatures.keys() == {ring.builder.id, ring.release.id}
    assert "also bears" not in sign("builder", "--only")
    assert Bundle.load(bundle).signatures.keys() == {ring.builder.id}
