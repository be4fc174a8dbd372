"""The edges of one pipeline, as the records on their topic tell them: which there are, and which are in force."""

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Message
from freshet.contracts.profile_messages import Edges, FrameKind
from freshet.profiles.bin_edges import BinEdges


class EdgesBook:
    """Folds `freshet.edges` of one pipeline. The first record of a list of columns is in force.

    A tombstone takes its record back: the pipeline was deleted, and what has its name later chooses edges of its own.
    """

    def __init__(self, pipeline: str) -> None:
        self._prefix, self._pipeline = f"{pipeline}/", pipeline
        self._records: dict[str, tuple[FrameKind, BinEdges]] = {}
        """By key, in the order of the topic."""
        self.by_id: dict[str, BinEdges] = {}
        """All of them, in force or not: frames name theirs. It is the same object always."""

    def fold(self, key: str, message: Message | None) -> None:
        """Take in one record of the topic. What is another pipeline's, or no edges at all, changes nothing."""
        if not key.startswith(self._prefix):
            return
        if message is None:
            self._forget(key)
        elif isinstance(message, Edges) and message.pipeline == self._pipeline:
            try:
                edges = BinEdges.of(message)
            except ContractError:
                return  # a stranger's
            self._forget(key)
            self._records[key] = message.kind, edges
            self.by_id[edges.id] = edges

    def in_force(self, kind: FrameKind, names: tuple[str, ...]) -> BinEdges | None:
        """Between which values these columns are counted now; None before any edges were chosen."""
        return next((edges for one, edges in self._records.values() if (one, edges.names) == (kind, names)), None)

    def _forget(self, key: str) -> None:
        _, edges = self._records.pop(key, ("", None))
        if edges is not None and all(one.id != edges.id for _, one in self._records.values()):
            self.by_id.pop(edges.id, None)
