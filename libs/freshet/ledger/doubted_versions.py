"""The records of versions that nobody vouches for, within bounds: whoever may write the topic may write any number."""

from freshet.contracts.messages import ModelVersion
from freshet.ledger.manifest_id import manifest_id
from freshet.ledger.room import Room
from freshet.ledger.versions import Versions
from freshet.ledger.vouching import Vouching


class DoubtedVersions:
    """Lets `Versions` take in what there is room for, where a pipeline demands signatures; elsewhere all.

    What a known builder has signed is always kept, under one number. Of the other records the first are kept: a
    version from before the demand is older than what a stranger writes against it. Of refusals the last are kept. They
    may be forgotten, since the worst that follows is another refusal.
    """

    def __init__(self, versions: Versions, vouching: Vouching) -> None:
        self._versions, self._vouching = versions, vouching
        self._room, self._refusals = Room[str](), Room[str]()
        self.dropped = 0
        """Records that were not kept since the pipeline was last deleted."""

    def fold(self, record: ModelVersion) -> str:
        """See `Versions`. Empty also for what there is no room for."""
        if not self._vouching.required:
            return self._versions.fold(record)
        if not record.version:
            self._refuse(record)
            return ""
        known = self._versions.records.get(record.version)
        if known is not None and self._versions.is_older(record, than=known):
            return ""
        if record.manifest_id != (identity := manifest_id(record.manifest)):
            record = record.model_copy(update={"manifest_id": identity})
        if not self._takes(record):
            if known is not None:
                self._charge(known)
            self.dropped += 1
            return ""
        if known is not None and known.manifest_id != record.manifest_id:
            self._versions.unlearn(known.manifest_id, record.version)
        return self._versions.fold(record, remember=False)

    def _takes(self, record: ModelVersion) -> bool:
        """Whether there is room for this record instead of that of its version."""
        self._charge(record)
        if not self._room.full:
            return True
        self._room.free(record.version)
        return False

    def _charge(self, record: ModelVersion) -> None:
        owner = self._versions.admitted_as.get(record.manifest_id, record.version)
        if owner == record.version and self._vouching.knows_builder(record):
            self._room.free(record.version)
        else:
            self._room.charge(record.version, record)

    def _refuse(self, record: ModelVersion) -> None:
        self._versions.fold(record)
        self._refusals.charge(record.manifest_id or manifest_id(record.manifest), record)
        while self._refusals.full:
            oldest = next(iter(self._refusals))
            self._refusals.free(oldest)
            self._versions.unlearn(oldest)

    def reconsider(self) -> list[str]:
        """Judge all anew, by the keys and the specification of now. Returns the versions that are not kept."""
        if not self._vouching.required:
            return []
        numbered, refusals = [*self._versions.records.values()], [*self._versions.refusals.values()]
        dropped, highest = self.dropped, self._versions.highest
        self._versions.forget()
        self.clear()
        self.dropped, self._versions.highest = dropped, highest
        for record in (*refusals, *numbered):
            self.fold(record)
        return [record.version for record in numbered if record.version not in self._versions.records]

    def clear(self) -> None:
        """The pipeline was deleted."""
        self._room.clear()
        self._refusals.clear()
        self.dropped = 0
