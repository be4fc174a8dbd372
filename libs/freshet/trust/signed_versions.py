"""Which versions a worker may load, by what they are signed with, and what it says of those that it has loaded."""

from collections.abc import Iterable, Iterator
from typing import Final

from freshet.ledger.epochs import named_by
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.manifest_id import manifest_id
from freshet.trust.pipeline_trust import OTHER_MODEL, PipelineTrust
from freshet.trust.signature_check import REVOKED_KEY, Objection


class SignedVersions:
    """Judges a version before its bytes are fetched. What is in memory stays there, whatever becomes of its key.

    A version of a builder whose key was revoked is loaded only for the live epoch: the registry signed that epoch
    before, and to answer nothing would harm more than to go on. No new epoch names it.
    """

    def __init__(self, ledger: PipelineLedger, trust: PipelineTrust) -> None:
        self._ledger, self._trust = ledger, trust

    def against(self, version: str) -> Objection | None:
        """Why this version may not be loaded; None if it may."""
        record = self._ledger.versions.records[version]
        if not self._trust.required:
            return None
        meant = {
            rollout.manifests.get(version) for rollout in self._ledger.epochs.asked() if version in named_by(rollout)
        }
        if meant - {manifest_id(record.manifest)}:
            return Objection(
                OTHER_MODEL,
                f"the record of {version} holds another model than the one that the registry signed. Find out who else "
                "writes the models topic, and promote a version again.",
            )
        found = self._trust.of_version(record)
        live = self._ledger.epochs.live
        if found and found.reason == REVOKED_KEY and live is not None and version in named_by(live):
            return None
        return found

    def warnings(self, loaded: Iterable[str]) -> Iterator[str]:
        """A sentence for each: an epoch that is not believed, what a stranger did to a known one, signatures that count
        no more.
        """
        if told := self._ledger.disbelief():
            yield told
        if self._ledger.meddled:
            yield self._ledger.meddled
        if dropped := self._ledger.doubted.dropped:
            yield (
                f"{dropped:,} records of versions were not kept, since no builder whose key is known has signed them. "
                "Find out who else writes the models topic; only a restart would judge them again."
            )
        if told := self._ledger.against_live():
            yield f"epoch {self._ledger.epochs.live_epoch} goes on, but a restarted worker would not believe it: {told}"
        for version in loaded:
            if told := self._ledger.against(version):
                yield f"{version} {_PARTS[self._ledger.part_of(version)]}, but no new epoch will name it: {told}"


_PARTS: Final = {
    "answers": "goes on answering",
    "understudy": "stays the understudy of the live epoch",
    "prepared": "is in memory here and answers nothing",
    "": "is in memory here and answers nothing",
}
"""What a version does that no new epoch may name, by its part; see `PipelineLedger.part_of`."""
