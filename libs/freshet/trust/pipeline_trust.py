"""What signatures say about one pipeline: which epochs count, and which versions a new epoch may name."""

from collections.abc import Callable, Mapping
from typing import Final

from freshet.contracts.messages import Manifest, ModelVersion, Rollout
from freshet.ledger.meddling import WRITERS
from freshet.ledger.vouching import Doubt, Standing
from freshet.trust.signature_check import REVOKED_KEY, Objection, objection
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import builder_statement, release_statement
from freshet.trust.trusted_keys import TrustedKeys

OTHER_LIFE: Final = "signature_other_life"
OTHER_MODEL: Final = "signature_other_model"
UNSET: Final = "trust_unset"
_REPLAYED: Final = Objection(
    OTHER_LIFE,
    f"it is of an earlier life of this pipeline, before its deletion: somebody has written it again. {WRITERS}",
)
_NO_FILE: Final = Objection(
    UNSET,
    "the pipeline demands signatures, and this process was given no trusted keys. Set FRESHET_TRUST to the trust file.",
)


def no_keys() -> TrustedKeys | None:
    """Where no trust file is set."""
    return None


class PipelineTrust:
    """Judges records of one pipeline, by the keys of now. Only pipelines that demand signatures are judged.

    The keys come from outside at every question, so that a revocation counts at once. Whether the pipeline demands
    signatures stands in its specification; until that is known, no epoch counts where a trust file is set.
    """

    def __init__(self, pipeline: str, keys: Callable[[], TrustedKeys | None] = no_keys) -> None:
        self._pipeline, self._ask = pipeline, keys
        self._demanded: bool | None = None
        self._life = ""
        self._seen = keys()
        self._judged: dict[str, tuple[ModelVersion, TrustedKeys, Objection | None]] = {}
        """Of each version, what was found of which record with which keys: a check takes a tenth of a millisecond."""

    def follow(self, *, demanded: bool, life: str) -> None:
        """The pipeline's newest specification."""
        self._demanded, self._life = demanded, life

    def renewed(self) -> bool:
        """Whether the keys are others than at the last call."""
        before, self._seen = self._seen, self._ask()
        return self._seen is not before

    @property
    def required(self) -> bool:
        """Whether the pipeline answers with signed models only, as far as is known."""
        keys = self._ask()
        return bool(self._demanded) or (keys is not None and self._pipeline in keys.required_for)

    @property
    def unset(self) -> str:
        """Why this process cannot judge what the pipeline demands, in a sentence; empty if it can."""
        return str(_NO_FILE) if self.required and self._ask() is None else ""

    def against_epoch(self, record: Rollout) -> Doubt | None:
        """See `Vouching`."""
        keys = self._ask()
        if keys is None or (self._demanded is not None and not self.required):
            return None
        found = objection("release", release_statement(record), record.signatures, keys)
        if self._demanded is None:
            unsigned: Standing = "refused" if self.required else "unknown"
            return Doubt("the pipeline's specification is not known yet.", unsigned if found else "signed")
        if found:
            return Doubt(str(found), "refused", once=found.reason == REVOKED_KEY)
        return Doubt(str(_REPLAYED), "signed") if record.life != self._life else None

    def against_version(self, record: ModelVersion) -> str:
        """See `Vouching`."""
        return str(self.of_version(record) or "")

    def knows_builder(self, record: ModelVersion) -> bool:
        """See `Vouching`."""
        found = self.of_manifest(record.manifest, record.signatures)
        return found is None or found.reason in (REVOKED_KEY, UNSET)

    def of_version(self, record: ModelVersion) -> Objection | None:
        """What speaks against a version, by its builder's signatures."""
        keys = self._ask()
        known = self._judged.get(record.version)
        if known is not None and known[0] is record and known[1] is keys and self.required:
            return known[2]
        found = self.of_manifest(record.manifest, record.signatures)
        if keys is not None and self.required:
            self._judged[record.version] = (record, keys, found)
        return found

    def of_manifest(self, manifest: Manifest, signatures: Mapping[str, bytes]) -> Objection | None:
        """What speaks against a candidate, by its builder's signatures."""
        keys = self._ask()
        if not self.required:
            return None
        if keys is None:
            return _NO_FILE
        return objection("builder", builder_statement(manifest), signatures, keys)

    def cannot_sign(self, key: SigningKey | None) -> str:
        """Why an epoch that this key signs would not be believed, in a sentence; empty if it would."""
        if not self.required:
            return ""
        keys = self._ask()
        if keys is None:
            return str(_NO_FILE)
        if key is None:
            return (
                "the pipeline demands signatures, and the registry has no release key: make one with `freshet key new "
                "--role release`, trust it, and set FRESHET_RELEASE_KEY to its file."
            )
        if not keys.trusts(key.id, "release"):
            return (
                f"the registry's release key {key.id} is not trusted as one (any more): start it with a key that the "
                "trust file holds as a release key with status `trusted`."
            )
        return ""


class TrustBook:
    """The trust of every pipeline, by name: all share the keys."""

    def __init__(self, keys: Callable[[], TrustedKeys | None] = no_keys) -> None:
        self._keys = keys
        self._known: dict[str, PipelineTrust] = {}

    def of(self, pipeline: str) -> PipelineTrust:
        """That of one pipeline."""
        if pipeline not in self._known:
            self._known[pipeline] = PipelineTrust(pipeline, self._keys)
        return self._known[pipeline]
