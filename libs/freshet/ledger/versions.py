"""The model versions of one pipeline: their numbers, their records, and what became of each candidate."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, NamedTuple

from freshet.contracts.messages import Manifest, ModelState, ModelVersion
from freshet.ledger.life_tables import VERSION
from freshet.ledger.manifest_id import manifest_id


class Version(NamedTuple):
    """A model version's number, MAJOR.MINOR.PIPELINE; compares in order of admission."""

    major: int
    minor: int
    pipeline: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.pipeline}"

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read `1.4.2` back. Only for numbers that the registry gave: anything else raises ValueError."""
        major, minor, pipeline = text.split(".")
        return cls(int(major), int(minor), int(pipeline))


_NO_NUMBER: Final = Version(-1, 0, 0)
_NUMBER_BYTES: Final = 60


def admission_order(version: str) -> tuple[Version, str]:
    """Sorts versions by their numbers; what is no number (only a stranger writes that) comes first."""
    try:
        return Version.parse(version), version
    except ValueError:
        return _NO_NUMBER, version


@dataclass(frozen=True, slots=True)
class VersionState:
    """A numbered version, and what the registry holds of it."""

    version: str
    state: ModelState


AGAIN: Final = "published again"
REFUSED_AGAIN: Final = f"{AGAIN}, but refused: "
"""How lines of a version's history begin by which the registry answers whoever publishes it again."""


def said_again(record: ModelVersion) -> str:
    """What the registry said when this version was last published again; empty if it never was."""
    return next((line.what for line in reversed(record.history) if line.what.startswith(AGAIN)), "")


def may_serve(record: ModelVersion | None) -> bool:
    """Whether an epoch may name this version."""
    return record is not None and VERSION.allows(record.state, "serve")


class Versions:
    """Folds the registry's words on candidates: numbered versions, and refusals.

    Of two records of a version the one with more history is the newer. If they name two artifacts, somebody numbered
    twice: then the last one is in force, as compaction leaves it. What is asked often is kept as records arrive.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self.alarm = ""
        """The last contradiction, in a sentence; it stays."""
        self.forget()

    def forget(self) -> None:
        """The pipeline was deleted: nothing is known of any version any more."""
        self.records: dict[str, ModelVersion] = {}
        """Numbered versions, by number."""
        self.refusals: dict[str, ModelVersion] = {}
        """Refused candidates, by manifest id; one that was admitted later may still be among them."""
        self.overruled: dict[str, list[ModelVersion]] = {}
        """By version: records of another artifact than the next one named."""
        self.judged: dict[str, int] = {}
        """Offset of the newest candidate record with a verdict, by manifest id."""
        self.admitted_as: dict[str, str] = {}
        """The version that has this manifest, by manifest id."""
        self.states: list[VersionState] = []
        """All numbered versions, the newest last."""
        self.quarantined: set[str] = set()
        self.aliased: set[str] = set()
        """Versions that have an alias."""
        self.pardoned: set[str] = set()
        """Versions that came back from quarantine while workers still report them."""
        self.highest = _NO_NUMBER
        """Of all numbers that were ever given, as far as keys on the topic tell; see `take`."""
        self._order: list[tuple[Version, str]] = []
        self._same_bytes: dict[str, tuple[str, ...]] = {}

    def take(self, number: str) -> None:
        """A record with this number in its key is on the topic: never give it again, whatever the record says."""
        if len(number) <= _NUMBER_BYTES:
            self.highest = max(self.highest, admission_order(number)[0])

    def free_numbers(self) -> None:
        """Numbers are free again where no version is known."""
        if not self.records:
            self.highest = _NO_NUMBER

    def is_older(self, record: ModelVersion, than: ModelVersion) -> bool:
        """Whether this record of a version was written before that one."""
        return than.manifest.digest == record.manifest.digest and len(than.history) > len(record.history)

    def unlearn(self, identity: str, version: str = "") -> None:
        """Forget that the candidate with this manifest id was refused, or that it was admitted as this version."""
        self.refusals.pop(identity, None)
        if self.admitted_as.get(identity, "") == version:
            self.admitted_as.pop(identity, None)
            self.judged.pop(identity, None)

    def fold(self, record: ModelVersion, *, remember: bool = True) -> str:
        """Take in a record. Returns the version whose state may be another one now; empty if none.

        Unless told to `remember`, nothing is kept of a record that this one contradicts.
        """
        identity = record.manifest_id or manifest_id(record.manifest)
        self.judged[identity] = max(self.judged.get(identity, -1), record.candidate_offset)
        version = record.version
        if not version:
            self.refusals[identity] = record
            return ""
        self.admitted_as[identity] = version
        known = self.records.get(version)
        if known is not None and known.manifest.digest != record.manifest.digest:
            self._contradicted(known, record, remember=remember)
        elif known is not None and self.is_older(record, than=known):
            return ""
        self._take(known, record)
        return version

    def _take(self, known: ModelVersion | None, record: ModelVersion) -> None:
        version, digest = record.version, record.manifest.digest
        self.records[version] = record
        self._same_bytes[digest] = tuple(sorted({*self._same_bytes.get(digest, ()), version}))
        at = bisect_left(self._order, order := admission_order(version))
        if known is None:
            self._order.insert(at, order)
            self.states.insert(at, VersionState(version, record.state))
        elif known.state != record.state:
            self.states[at] = VersionState(version, record.state)
        for holds, versions in (
            (record.state == "quarantined", self.quarantined),
            (bool(record.aliases), self.aliased),
            (bool(record.pardoned), self.pardoned),
        ):
            (versions.add if holds else versions.discard)(version)

    def _contradicted(self, known: ModelVersion, record: ModelVersion, *, remember: bool) -> None:
        version, before = known.version, known.manifest.digest
        self.alarm = (
            f"version {version} of {self._pipeline} names two artifacts, {before} and {record.manifest.digest}: the "
            "last record is in force, but who has loaded the other one answers with that. Find out who else writes "
            "the models topic, and restart the workers."
        )
        if remember:
            self.overruled.setdefault(version, []).append(known)
        self._same_bytes[before] = tuple(other for other in self._same_bytes[before] if other != version)

    def copy(self) -> "Versions":
        """To look ahead: what is folded there does not change here."""
        copied = Versions(self._pipeline)
        for name, value in vars(self).items():
            setattr(copied, name, value.copy() if hasattr(value, "copy") else value)
        return copied

    @property
    def newest(self) -> ModelVersion | None:
        """The version with the highest number, in whatever state."""
        return self.records[self.states[-1].version] if self.states else None

    def may_serve(self, version: str) -> bool:
        """Whether the version exists and an epoch may name it."""
        return may_serve(self.records.get(version))

    def same_bytes(self, digest: str) -> tuple[str, ...]:
        """All versions of this artifact, sorted: one model may be published under several manifests."""
        return self._same_bytes.get(digest, ())

    def verdict(self, manifest: Manifest, offset: int = -1) -> ModelVersion | None:
        """The registry's word on this manifest, once there is one on that record of the candidate or a later one.

        Of a version that was admitted before too: until its record is renewed, the new signatures do not count.
        """
        identity = manifest_id(manifest)
        version = self.admitted_as.get(identity, "")
        found = self.records[version] if version else self.refusals.get(identity)
        return found if found is not None and found.candidate_offset >= offset else None

    def in_force(self) -> list[ModelVersion]:
        """Versions, and refusals of what was not admitted since: a candidate that comes again is judged again."""
        refused = [record for identity, record in self.refusals.items() if identity not in self.admitted_as]
        return [*self.records.values(), *refused]

    def told(self, version: str) -> list[ModelVersion]:
        """All artifacts that this version was given, the one in force last; several only after contradictions."""
        return [*self.overruled.get(version, ()), self.records[version]]
