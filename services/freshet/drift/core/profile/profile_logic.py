"""Profiles as a service: features and predictions → frames on `{p}.profiles`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Final

from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Announce, BatchLimits, Effect, Fact, Hold
from freshet.contracts.profile_messages import Edges, Frame, FrameKind
from freshet.contracts.stateful import Checkpoint, StateFormatError, Stateful
from freshet.drift.core.join.plans import PlanBook
from freshet.drift.core.profile.open_frame import ClosedFrame, OpenFrame
from freshet.drift.core.profile.profile_rows import FEATURES, KINDS, PREDICTIONS, ProfileInputs, ReadRows
from freshet.drift.core.profile.profile_state import from_bytes, to_bytes
from freshet.profiles.bin_edges import BinEdges, chosen, fixed
from freshet.profiles.edges_book import EdgesBook, edges_key, edges_record
from freshet.profiles.frame_making import content, unusual_rows

_COMMIT_INTERVAL_MS: Final = 250
"""Nobody waits for a frame, and a row costs less in larger batches."""
_ROWS: Final = 5_000
_ROWS_WITHOUT_EDGES: Final = 256
"""Small batches until there are edges, so that as few frames as can be are closed without."""

Partition = Mapping[str, OpenFrame]
"""The state of a partition: that of each input, which does not depend on the other's."""


class ProfileLogic(Stateful):
    """Counts what features and predictions of one pipeline look like.

    A frame follows from its rows and the edges that it names. Edges are chosen by whichever partition has enough rows
    first; the first record of them on their topic is in force, until a command writes others. A frame that was over
    before has no bins.
    """

    reads = (FEATURES, PREDICTIONS)
    follows: ClassVar[tuple[str, ...]] = ("pipelines", "edges")
    together = ((FEATURES, PREDICTIONS),)
    kept = Checkpoint("checkpoints/drift-profile", rows=50_000)
    state_format: ClassVar[int] = 2
    older_formats: ClassVar[tuple[int, ...]] = (1,)

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._book = PlanBook(pipeline)
        self._inputs: ProfileInputs | None = None
        self._edges = EdgesBook(pipeline)
        self._proposed: dict[tuple[str, int], tuple[FrameKind, tuple[str, ...]]] = {}
        """By input and partition, which edges it has chosen and not read back yet."""
        self._uncommitted: set[tuple[str, int]] = set()
        """Those of them that may never have been written."""
        self._topic_ids: dict[str, str] = {}
        self._states: dict[int, Partition] = {}
        self._staged: dict[int, Partition] = {}
        self._foreign: dict[tuple[str, int], str] = {}

    @property
    def limits(self) -> BatchLimits:
        """See `Logic`."""
        spec = self._book.spec
        known = spec is not None and self._edges.in_force("features", spec.feature_names) is not None
        return BatchLimits(_ROWS if known else _ROWS_WITHOUT_EDGES, _COMMIT_INTERVAL_MS)

    def fold(self, fact: Fact) -> None:
        """See `Logic`. Raises DeletedError once the pipeline is deleted under a worker that serves it."""
        if self._book.fold(fact, serves=bool(self._states)):
            spec = self._book.spec
            self._inputs = None if spec is None else self._inputs or ProfileInputs(spec)
            self._foreign.clear()
        elif fact.role == "edges":
            self._edges.fold(fact.key, fact.message)

    def on_topic(self, role: str, topic_id: str) -> None:
        """See `Logic`. Frames say of which life of the topic they are."""
        self._topic_ids[role] = topic_id

    def on_assign(self, role: str, partition: int, metadata: str) -> None:  # noqa: ARG002
        """See `Logic`. What was written is waited for, and what was not is chosen again."""
        self._begun_anew(role, partition)

    def on_revoke(self, role: str, partition: int) -> None:
        """See `Logic`."""
        self._begun_anew(role, partition)

    def _begun_anew(self, role: str, partition: int) -> None:
        self._foreign.pop((role, partition), None)
        if (role, partition) in self._uncommitted:
            self._uncommitted.remove((role, partition))
            self._proposed.pop((role, partition), None)

    def waits(self, role: str, partition: int) -> str:
        """See `Logic`."""
        return self._book.trouble or self._foreign.get((role, partition), "") or self._unread(role, partition)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """See `Logic`. A record for each frame that is over, and the edges where this partition has to choose them."""
        for partition in batch.spans:
            read = self._read(batch, partition)
            foreign = self._untakeable(batch.role, read)
            if held := foreign or self._unread(batch.role, partition):
                self._foreign[batch.role, partition] = foreign
                yield Hold(batch.role, partition, held)
            else:
                yield from self._answer(batch.role, partition, read)

    def _answer(self, role: str, partition: int, read: ReadRows) -> Iterator[Effect]:
        state = self._taken(role, partition, read)
        if (edges := self._to_choose(role, state)) is not None:
            self._proposed[role, partition] = (KINDS[role], edges.names)
            self._uncommitted.add((role, partition))
            key = edges_key(self._pipeline, KINDS[role], edges, partition)
            yield Announce("edges", key, self._record(role, partition, state, edges))
        for closed in state.closed:
            frame = self._frame(role, partition, closed)
            yield Announce("profiles", f"{frame.kind}/{partition}/{frame.from_offset}", frame)

    def _taken(self, role: str, partition: int, read: ReadRows) -> OpenFrame:
        now = self._staged[partition][role].with_rows(read)
        self._staged[partition] = {**self._staged[partition], role: now}
        return now

    def _read(self, batch: Batch, partition: int) -> ReadRows:
        assert self._inputs is not None
        return self._inputs.read(batch, partition)

    def _untakeable(self, role: str, read: ReadRows) -> str:
        """Why these rows cannot be taken in yet; empty if they can. Answers are always as wide as the classes ask."""
        widest = max((part.values.shape[1] for part in read.stretches), default=0)
        if role == FEATURES and self._book.spec is not None and widest > len(self._book.spec.feature_names):
            return f"rows have {widest} features, more than specification {self._book.newest} has: waiting for a newer."
        return read.newer

    def _unread(self, role: str, partition: int) -> str:
        """Whether this partition has chosen edges that have not come back yet."""
        proposed = self._proposed.get((role, partition))
        if proposed is None or self._edges.in_force(*proposed) is not None:
            return ""
        return f"the edges that it chose for its {proposed[0]} are on their way back from their topic."

    def _names(self, role: str, width: int) -> tuple[str, ...]:
        assert self._book.spec is not None
        assert self._inputs is not None
        return self._book.spec.feature_names[:width] if role == FEATURES else self._inputs.answer_names

    def _edges_of(self, role: str, names: tuple[str, ...]) -> BinEdges | None:
        assert self._inputs is not None
        if role == PREDICTIONS and self._inputs.classes:
            return fixed(names, len(self._inputs.classes))
        return self._edges.in_force(KINDS[role], names)

    def _to_choose(self, role: str, state: OpenFrame) -> BinEdges | None:
        """Edges from the first rows, if there are none in force, and enough rows to choose them from."""
        if not state.has_first_rows:
            return None
        names = self._names(role, state.first_width)
        return None if self._edges_of(role, names) else chosen(names, state.chosen_from.values)

    def _record(self, role: str, partition: int, state: OpenFrame, edges: BinEdges) -> Edges:
        offsets = state.chosen_from.offsets
        rows = partition, int(offsets[0]), int(offsets[-1]) + 1, len(offsets)
        return edges_record(self._pipeline, KINDS[role], edges, topic=self._topic_ids[role], rows=rows)

    def _frame(self, role: str, partition: int, closed: ClosedFrame) -> Frame:
        rows, names = closed.rows, self._names(role, closed.rows.values.shape[1])
        edges = self._edges_of(role, names)
        count, told = unusual_rows(names, rows, edges)
        return Frame(
            pipeline=self._pipeline,
            kind=KINDS[role],
            partition=partition,
            number=self._book.newest,
            topic=self._topic_ids[role],
            from_offset=closed.from_offset,
            to_offset=closed.to_offset,
            first_ms=closed.first_ms,
            last_ms=closed.last_ms,
            refused=closed.refused,
            **{**content(names, rows, edges).fields(), "unusual_rows": count},
            unusual=tuple(told),
            state_from={role: max(0, one.since) for role, one in self._staged[partition].items()},
        )

    def begin(self, partition: int) -> None:
        """See `Stateful`. Raises ContractError if no specification can be read."""
        if self._inputs is None:
            raise ContractError(self._book.trouble)
        self._set(partition, self._new())

    def load(self, partition: int, body: bytes) -> None:
        """See `Stateful`."""
        assert self._inputs is not None
        self._set(partition, from_bytes(body, self._new(), {PREDICTIONS: len(self._inputs.answer_names)}))

    def dump(self, partition: int) -> bytes:
        """See `Stateful`."""
        return to_bytes(self._staged[partition])

    def take_in(self, batch: Batch, plan: int) -> None:  # noqa: ARG002
        """See `Stateful`."""
        (partition,) = batch.spans
        read = self._read(batch, partition)
        if why := self._untakeable(batch.role, read):
            raise StateFormatError(why)
        self._taken(batch.role, partition, read)
        self.committed(partition)

    def committed(self, partition: int) -> None:
        """See `Stateful`."""
        self._states[partition] = self._staged[partition]
        self._uncommitted.difference_update([(role, partition) for role in self.reads])

    def discarded(self, partition: int) -> None:
        """See `Stateful`."""
        self._staged[partition] = self._states[partition]

    def forget(self, partition: int) -> None:
        """See `Stateful`."""
        self._states.pop(partition, None)
        self._staged.pop(partition, None)

    def unready(self) -> str | None:
        """See `Logic`."""
        return self._book.trouble or next(filter(None, self._foreign.values()), None)

    def _new(self) -> Partition:
        assert self._inputs is not None
        return {role: OpenFrame(chooses=role == FEATURES or not self._inputs.classes) for role in self.reads}

    def _set(self, partition: int, state: Partition) -> None:
        self._states[partition] = self._staged[partition] = state
