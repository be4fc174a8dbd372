"""What inference does outside its loop, and what it needs of a loaded model."""

from dataclasses import dataclass
from typing import Protocol

from freshet.contracts.arrays import Floats32
from freshet.contracts.logic import Job
from freshet.contracts.messages import Manifest


class Scorer(Protocol):
    """A model in memory. Used by one thread at a time."""

    @property
    def manifest(self) -> Manifest:
        """What it was loaded from."""

    def score(self, rows: Floats32) -> Floats32:
        """Scores (n, outputs) of rows (n, inputs), finite or not; raises ModelError when it cannot answer at all."""

    def interrupt(self) -> None:
        """From another thread: the `score` under way, if any, raises ModelError as soon as it can."""

    def close(self) -> None:
        """Free its memory; never called while it scores."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to answer: the time it took to get there, and its scoring time in the warm-up."""

    scorer: Scorer
    load_ms: int
    p99_us: int


@dataclass(frozen=True, slots=True)
class LoadModel(Job[Loaded]):
    """Fetch a model, check it, load it and warm it up with batches of `batch_rows`. Its result is `Loaded`.

    `memory_bytes` is what its admission took; 0 if that is not known.
    """

    version: str
    manifest: Manifest
    chunk_offsets: tuple[int, ...]
    batch_rows: int
    memory_bytes: int = 0

    @property
    def queue(self) -> str:
        """See `Job`. One model at a time, so that memory peaks once."""
        return "load"


@dataclass(frozen=True, slots=True)
class RetireModel(Job[None]):
    """Close a model that answers no more, and give its memory back. It has no result."""

    version: str
    scorer: Scorer
