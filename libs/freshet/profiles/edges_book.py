"""The edges of one pipeline, as the records on their topic tell them: which there are, and which are in force."""

import hashlib
import json
from typing import Final

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Message
from freshet.contracts.profile_messages import Edges, FrameKind
from freshet.profiles.bin_edges import BinEdges

_BY_COMMAND: Final = "command-"


class EdgesBook:
    """Folds `freshet.edges` of one pipeline.

    Of a list of columns the newest record that a command wrote is in force, and before there is one the first record
    that a partition wrote. A tombstone takes its record back: the pipeline was deleted, and what has its name later
    chooses edges of its own.
    """

    def __init__(self, pipeline: str) -> None:
        self._prefix, self._pipeline = f"{pipeline}/", pipeline
        self.records: dict[str, Edges] = {}
        """By key, in the order of the topic; edges of a classification's answers are fixed, and have none."""
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
            self.records[key] = message
            self.by_id[edges.id] = edges

    def in_force(self, kind: FrameKind, names: tuple[str, ...]) -> BinEdges | None:
        """Between which values these columns are counted now; None before any edges were chosen."""
        found = [key for key, one in self.records.items() if (one.kind, one.names) == (kind, names)]
        asked = [key for key in found if is_by_command(key)]
        return self.by_id[self.records[(asked[-1:] or found[:1])[0]].id] if found else None

    def _forget(self, key: str) -> None:
        gone = self.records.pop(key, None)
        if gone is not None and all(one.id != gone.id for one in self.records.values()):
            self.by_id.pop(gone.id, None)


def edges_key(pipeline: str, kind: FrameKind, edges: BinEdges, partition: int | None) -> str:
    """The key of edges that a partition chose, or of those that a command writes: each of these is kept, as frames
    name them.
    """
    columns = hashlib.sha256(json.dumps(edges.names).encode()).hexdigest()[:16]
    return f"{pipeline}/{kind}/{columns}/{_BY_COMMAND + edges.id if partition is None else partition}"


def is_by_command(key: str) -> bool:
    """Whether a command wrote the edges with this key."""
    return key.rpartition("/")[2].startswith(_BY_COMMAND)


def edges_record(
    pipeline: str, kind: FrameKind, edges: BinEdges, *, topic: str, rows: tuple[int, int, int, int]
) -> Edges:
    """The record of edges; `rows` they were chosen from: partition, first offset, the offset behind the last, count."""
    partition, first, end, count = rows
    return Edges(
        pipeline=pipeline,
        kind=kind,
        id=edges.id,
        names=edges.names,
        bins_each=edges.bins_each,
        edges=edges.edges.astype("<f8").tobytes(),
        centre=edges.centre.astype("<f8").tobytes(),
        distance=edges.distance.astype("<f8").tobytes(),
        topic=topic,
        partition=partition,
        from_offset=first,
        to_offset=end,
        rows=count,
    )
