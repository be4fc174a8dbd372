"""The models of this process: loaded, being loaded, failed to load, or quarantined."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from freshet.contracts.errors import FreshetError
from freshet.contracts.messages import ModelVersion
from freshet.inference.core.model_jobs import Loaded, LoadModel, RetireModel
from freshet.ledger.versions import Versions
from freshet.models.model_error import ModelError

FIRST_RETRY_MS: Final = 1_000
LONGEST_RETRY_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version is not here: a code, a sentence, and when it is tried again."""

    reason: str
    detail: str
    attempts: int = 0
    retry_at_ms: int = 0


LOAD_DEATHS: Final = 2
"""So many processes in a row may die while they load a version; the next one leaves it alone."""


class ResidentModels:
    """Which versions this process holds. At most one is being loaded at a time, so that memory peaks once.

    A version at whose load the process before this one died is loaded after all others, so that whoever can stand in
    for it is there first. After two such deaths in a row it is not loaded here at all: there is no other way to serve
    with what fits. A process that ends otherwise gives it another chance, since kills from outside look the same.

    What is held against a version is held against its bytes: once the pipeline was deleted, its number may be another
    model's.
    """

    def __init__(
        self,
        versions: Versions,
        died_loading: Sequence[str] = (),
        to_blame: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`versions` are all that are known. What is known of our predecessors names models by their digests.

        `died_loading` has one for each in a row that died while it loaded a model; `to_blame` those that may not answer
        here since they died while these scored, with a sentence that says why.
        """
        self._versions = versions
        self._died_loading = Counter(died_loading)
        self._barred = {
            digest: Failure("load_crashed", f"{deaths} processes in a row died while they loaded it.")
            for digest, deaths in self._died_loading.items()
            if deaths >= LOAD_DEATHS
        }
        self._loaded: dict[str, Loaded] = {}
        self._failures: dict[str, Failure] = {}
        self._quarantined = {digest: Failure("model_crashed", why) for digest, why in to_blame.items()}
        self._loading: str | None = None
        self.changes = 0
        """Counts how often it changed which versions may answer here."""

    def get(self, version: str) -> Loaded | None:
        """The model if it is in memory, quarantined or not."""
        return self._loaded.get(version)

    def loaded(self) -> list[str]:
        """Versions in memory, sorted."""
        return sorted(self._loaded)

    def quarantined(self) -> list[str]:
        """Versions that failed in service here, sorted. They never answer here again unless they are reinstated."""
        return sorted({version for digest in self._quarantined for version in self._versions.same_bytes(digest)})

    def quarantine(self, version: str, reason: str, detail: str) -> None:
        """This version answers no more in this process, whatever is rewound, until it is pardoned."""
        self._quarantined.setdefault(self._digest(version), Failure(reason, detail))
        self.changes += 1

    def pardon(self, version: str) -> None:
        """An operator has taken the version back: what it did here is forgotten."""
        self._quarantined.pop(self._digest(version), None)
        self.changes += 1

    def quarantine_of(self, version: str) -> Failure | None:
        """Why this version is quarantined here, or None."""
        return self._quarantined.get(self._digest(version))

    def failure_of(self, version: str) -> Failure | None:
        """Why this version could not be loaded when last tried, or None."""
        return self._barred.get(self._digest(version)) or self._failures.get(version)

    @property
    def empty(self) -> bool:
        """Whether this process holds no model and loads none. One that failed in service leaves another in memory."""
        return not (self._loaded or self._loading)

    def _digest(self, version: str) -> str:
        """Empty if it is not known (any more), as of one of a pipeline that was deleted."""
        record = self._versions.records.get(version)
        return record.manifest.digest if record else ""

    def next_load(self, wanted: Iterable[ModelVersion], batch_rows: int, now_ms: int) -> LoadModel | None:
        """The most urgent version that is not here and due for an attempt; None while another is being loaded."""
        if self._loading is not None:
            return None
        never = self._quarantined.keys() | self._barred.keys()
        for model in sorted(wanted, key=lambda model: model.manifest.digest in self._died_loading):
            version = model.version
            failed = self._failures.get(version)
            if version in self._loaded or model.manifest.digest in never or (failed and now_ms < failed.retry_at_ms):
                continue
            self._loading = version
            return LoadModel(version, model.manifest, model.chunk_offsets, batch_rows, model.memory_bytes)
        return None

    def take_in(self, version: str, loaded: Loaded) -> None:
        """Note that a load has brought this."""
        self._loading = None
        self._loaded[version] = loaded
        self.changes += 1
        self._failures.pop(version, None)

    def note_failure(self, version: str, error: FreshetError, now_ms: int) -> None:
        """Note that a load has failed; the pause before the next attempt doubles."""
        self._loading = None
        known = (error.reason, error.detail) if isinstance(error, ModelError) else ("load_failed", str(error))
        attempts = self._failures[version].attempts + 1 if version in self._failures else 1
        pause_ms = min(FIRST_RETRY_MS * 2 ** min(attempts - 1, 30), LONGEST_RETRY_MS)
        self._failures[version] = Failure(*known, attempts, now_ms + pause_ms)

    def forget_failures(self, wanted: Iterable[str]) -> None:
        """A version that is not wanted now starts anew when it is wanted again: its artifact may have been repaired."""
        kept = set(wanted)
        self._failures = {version: failure for version, failure in self._failures.items() if version in kept}

    def evict(self, listed: set[str]) -> list[RetireModel]:
        """Forget the models that no record lists; each is closed by its job, away from the loop."""
        unlisted = [version for version in self.loaded() if version not in listed]
        self.changes += bool(unlisted)
        return [RetireModel(version, self._loaded.pop(version).scorer) for version in unlisted]
