"""What is wrong with the signatures of one record, for verify."""

from typing import TYPE_CHECKING

from freshet.contracts.messages import ModelVersion, Rollout
from freshet.operate.verify.evidence import Demand

if TYPE_CHECKING:
    from freshet.trust.trusted_keys import TrustedKeys


class RecordJudge:
    """Judges records one by one: a code of docs/trust.md, or nothing where a record is as it must be."""

    def __init__(self, demand: Demand, keys: "TrustedKeys") -> None:
        # it needs an extra, and only where there are keys
        from freshet.trust import pipeline_trust, signature_check, statements  # noqa: PLC0415

        self._objection, self._statements = signature_check.objection, statements
        self._other_life, self.other_model = pipeline_trust.OTHER_LIFE, pipeline_trust.OTHER_MODEL
        self.missing, self.revoked = signature_check.MISSING, signature_check.REVOKED_KEY
        self._life, self._keys = demand.life, keys

    def of_epoch(self, record: Rollout) -> str:
        """What is wrong with a record of an epoch."""
        statement = self._statements.release_statement(record)
        found = self._objection("release", statement, record.signatures, self._keys)
        if found and found.reason != self.revoked:
            return found.reason
        if record.life != self._life:
            return self._other_life
        return found.reason if found else ""

    def of_version(self, record: ModelVersion) -> str:
        """What is wrong with a record of a version; its number is no builder's to sign."""
        statement = self._statements.builder_statement(record.manifest)
        found = self._objection("builder", statement, record.signatures, self._keys)
        return found.reason if found else ""

    def ours(self, fault: str) -> bool:
        """Whether somebody has signed it whom the trust file knows for that, though his key may be revoked by now."""
        return fault in ("", self.revoked)
