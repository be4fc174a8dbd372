"""Keys made on the spot, and what they sign: for tests of pipelines that demand signatures."""

from pathlib import Path

from freshet.contracts.messages import Candidate, ModelVersion, PipelineRecord, Rollout
from freshet.ledger.manifest_id import manifest_id
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import Role, builder_statement, release_statement
from freshet.trust.trusted_keys import Status, TrustedKeys, public_entry


class KeyRing:
    """An operator's keys, and the trust file that names them; `revoke` and `trust` change the file's text."""

    def __init__(self) -> None:
        self.builder, self.release = SigningKey.generate(), SigningKey.generate()
        self.stranger = SigningKey.generate()
        self._entries: dict[str, tuple[SigningKey, Role, Status]] = {}
        self.trust(self.builder, "builder")
        self.trust(self.release, "release")

    def trust(self, key: SigningKey, role: Role, status: Status = "trusted") -> None:
        """Write the key's entry, or write it anew."""
        self._entries[key.id] = (key, role, status)
        self.now = TrustedKeys.parse(self.text)

    def revoke(self, key: SigningKey) -> None:
        """The key counts no more."""
        self.trust(key, self._entries[key.id][1], "revoked")

    def keys(self) -> TrustedKeys:
        """What a process reads from the file now."""
        return self.now

    @property
    def text(self) -> str:
        """The trust file."""
        entries = [
            public_entry(key.public, role).replace("status: trusted", f"status: {status}")
            for key, role, status in self._entries.values()
        ]
        return "keys:\n" + "".join(entries)

    def save(self, folder: Path) -> Path:
        """Write the trust file, and the two private keys beside it as `builder.pem` and `release.pem`."""
        for name, key in (("builder", self.builder), ("release", self.release)):
            (folder / f"{name}.pem").write_bytes(key.pem())
        path = folder / "trust.yaml"
        path.write_text(self.text)
        return path


def signed(candidate: Candidate, *keys: SigningKey) -> Candidate:
    """The candidate with the signature of each of these keys."""
    statement = builder_statement(candidate.manifest)
    signatures = {name: value for key in keys for name, value in key.sign(statement).items()}
    return candidate.model_copy(update={"signatures": signatures})


def demanding(record: PipelineRecord, life: str = "a1") -> PipelineRecord:
    """The same pipeline, which answers with signed models only."""
    return record.model_copy(update={"spec": f"{record.spec}\ntrust: required\n", "life": life})


def signed_version(record: ModelVersion, *keys: SigningKey) -> ModelVersion:
    """The version with the signature of each of these keys."""
    statement = builder_statement(record.manifest)
    signatures = {name: value for key in keys for name, value in key.sign(statement).items()}
    return record.model_copy(update={"signatures": signatures})


def signed_epoch(record: Rollout, key: SigningKey, *models: ModelVersion, life: str = "a1") -> Rollout:
    """The epoch in this life, with the manifests of these versions, signed by this key."""
    manifests = {one.version: manifest_id(one.manifest) for one in models}
    record = record.model_copy(update={"life": life, "manifests": manifests})
    return record.model_copy(update={"signatures": key.sign(release_statement(record))})
