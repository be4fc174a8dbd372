"""The label join as a service: predictions and labels → the labelled log."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from freshet.avro.rows import dead_letters
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Announce, BatchLimits, Effect, Fact, Hold, Lookup, Mark
from freshet.contracts.stateful import Slabs, StateFormatError, Stateful
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_text
from freshet.drift.core.join import slab
from freshet.drift.core.join.inputs import InputRows, JoinInputs
from freshet.drift.core.join.join_rows import LABEL, Table, distinct
from freshet.drift.core.join.join_state import LABELS, PREDICTIONS, JoinState
from freshet.drift.core.join.outcome_writer import RecordHead, Vectors, records
from freshet.drift.core.join.plans import PlanBook
from freshet.drift.core.join.taken import Taken
from freshet.drift.core.join.told import Told
from freshet.drift.core.join.waiting_labels import WAITING_BYTES

FEATURES: Final = "features"
_COMMIT_INTERVAL_MS: Final = 250
_SKEW_MS: Final = 60_000
_WAITING_SHARE: Final = 4
"""Waiting labels may take this part of the memory."""
_UNKNOWN_TOPIC: Final = to_text(UNKNOWN_BYTES)


class JoinLogic(Stateful):
    """Joins the labels of one pipeline with its predictions."""

    reads = (PREDICTIONS, LABELS)
    follows = ("pipelines",)
    together = ((PREDICTIONS, LABELS),)
    looks_up = (FEATURES,)
    kept = Slabs("slabs/drift-join", rows=1024)

    def __init__(self, pipeline: str, *, most_bytes: int) -> None:
        """`most_bytes` is what all partitions together may take of memory."""
        self._pipeline, self._most_bytes = pipeline, most_bytes
        self._book = PlanBook(pipeline)
        self._vectors = Vectors()
        self._inputs: JoinInputs | None = None
        self._states: dict[int, JoinState] = {}
        self._reached: dict[int, tuple[bool, int, bool]] = {}
        """Of the metadata that a state was last told: whether it is of the topics of now, how far it went, and whether
        it tells clocks."""
        self._foreign: dict[tuple[str, int], str] = {}
        self._topic_ids: dict[str, str] = {}
        self._delay_s = 0.0

    @property
    def limits(self) -> BatchLimits:
        """See `Logic`."""
        return BatchLimits(commit_interval_ms=_COMMIT_INTERVAL_MS)

    @property
    def plan(self) -> int:
        """See `Stateful`: the number of the newest specification."""
        return self._book.newest

    @property
    def reach_ms(self) -> int:
        """See `Stateful`. Twice the reach of an id: labels may have been read so long behind predictions."""
        return 2 * self._book.plans.newest.reach

    @property
    def answers_silence(self) -> bool:
        """See `Stateful`: where the absence of a label says something, each prediction is answered in the end."""
        return self._book.plans.any_absent

    def fold(self, fact: Fact) -> None:
        """See `Logic`. Raises DeletedError once the pipeline is deleted under a worker that serves it."""
        if not self._book.fold(fact, serves=bool(self._states)):
            return
        spec = self._book.spec
        self._inputs = None if spec is None else self._inputs or JoinInputs(spec)
        for state in self._states.values():
            state.plans = self._book.plans

    def on_topic(self, role: str, topic_id: str) -> None:
        """See `Logic`."""
        self._topic_ids[role] = topic_id

    def on_assign(self, role: str, partition: int, metadata: str) -> None:
        """See `Logic`: the newer of both inputs' metadata says what the restored state does not know of itself."""
        self._foreign.pop((role, partition), None)
        if not metadata:
            return
        try:
            told = Told.parse(metadata)
        except ContractError as error:
            self._foreign[role, partition] = str(error)
            return
        state = self._states[partition]
        if (reached := (told.is_of(state), sum(told.next), told.has_clocks)) >= self._reached[partition]:
            self._reached[partition] = reached
            told.apply(state)

    def on_revoke(self, role: str, partition: int) -> None:
        """See `Logic`. The state may come back."""
        self._foreign.pop((role, partition), None)

    def waits(self, role: str, partition: int) -> str:
        """See `Logic`."""
        return self._book.trouble or self._foreign.get((role, partition), "") or self._full(role)

    def on_idle(self, role: str, partition: int) -> None:
        """See `Logic`: silence says as much as a record, but for a minute by which brokers' clocks may differ."""
        logs = self._states[partition].logs
        other = LABELS if role == PREDICTIONS else PREDICTIONS
        logs[role].idle_ms = max(logs[role].idle_ms, logs[other].clock_ms - _SKEW_MS)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """See `Logic`. One or more records of the labelled log for each partition, also where only counts changed."""
        why = self._full(batch.role)
        for partition in batch.spans:
            read = self._read(batch, partition, self.plan)
            if held := why or read.newer:
                self._foreign[batch.role, partition] = read.newer
                yield Hold(batch.role, partition, held)
            else:
                yield from self._answer(batch, partition, read)

    def _answer(self, batch: Batch, partition: int, read: InputRows) -> Iterator[Effect]:
        state = self._states[partition]
        taken = self._take(batch, partition, self.plan, read.rows)
        yield from dead_letters(read.refused)
        asked = state.rows.take(taken.pairs["row"])
        if asked.size:
            self._delay_s = float((taken.pairs["labelled_ms"] - asked["time_ms"]).mean()) / 1000
        head, first_row = self._head(state, partition, taken), state.first_row
        state.first_row += taken.pairs.size
        mark = Mark(batch.role, partition, Told.of(state).text)
        written = partial(self._written, head, first_row, _Answer(taken.pairs, asked, mark))
        ours = np.isin(asked["topic"], [state.names["topic"].index(name) for name in self._topics(state)])
        offsets = distinct(asked["features_offset"][ours])
        yield from [Lookup(FEATURES, partition, offsets, written)] if offsets.size else written(None)

    def _topics(self, state: JoinState) -> list[str]:
        """Those names under which the features topic of now is known to predictions."""
        return [name for name in state.names["topic"] if name in {self._topic_ids[FEATURES], _UNKNOWN_TOPIC}]

    def _written(self, head: RecordHead, first_row: int, answer: "_Answer", found: Batch | None) -> Iterator[Effect]:
        groups = self._vectors.groups(head, answer.asked, found)
        for record in records(head, first_row, answer.pairs, answer.asked, groups):
            yield Announce("outcomes", str(head.partition), record)
        yield answer.mark

    def _head(self, state: JoinState, partition: int, taken: Taken) -> RecordHead:
        spec = self._book.spec
        assert spec is not None
        assert self._inputs is not None
        return RecordHead(
            pipeline=self._pipeline,
            partition=partition,
            number=self.plan,
            inputs={role: log.next for role, log in state.logs.items() if log.next},
            counts=state.told,
            minutes=taken.minutes,
            spec_version=spec.features.version,
            width=len(spec.feature_names),
            classes=self._inputs.scores,
            regression=not self._inputs.classes,
            topics=state.names["topic"],
            versions=state.names["version"],
            features_topic=self._topic_ids[FEATURES],
            input_topics={role: log.topic_id for role, log in state.logs.items()},
            number_from={role: log.first_under(self.plan) for role, log in state.logs.items()},
            state_from={role: log.since for role, log in state.logs.items()},
        )

    def _read(self, batch: Batch, partition: int, plan: int) -> InputRows:
        inputs, at = self._inputs, batch.rows(partition)
        assert inputs is not None
        if batch.role == PREDICTIONS:
            return inputs.predictions(batch, at, plan, self._states[partition].names)
        return inputs.labels(batch, at, plan)

    def _take(self, batch: Batch, partition: int, plan: int, rows: Table) -> Taken:
        """What these rows led to; the state then stands behind all of the batch's, also those that were refused."""
        state, (_, last) = self._states[partition], batch.spans[partition]
        take = state.predictions if batch.role == PREDICTIONS else state.labels
        taken = take(rows) if rows.size else state.close()
        state.logs[batch.role].reach(last + 1, plan)
        return taken

    def _full(self, role: str) -> str:
        """Why no more of this input fits into memory; empty while it does."""
        used = sum(state.used_bytes for state in self._states.values())
        waiting = sum(state.waiting.live for state in self._states.values()) * WAITING_BYTES
        if any(state.has_due(role) for state in self._states.values()):
            return ""  # the next batch makes room
        if role == PREDICTIONS and used > self._most_bytes:
            return (
                f"open predictions take {used >> 20} MiB of memory, and may take {self._most_bytes >> 20}: waiting "
                "until labels that are read let some go. Add workers or memory, or shorten `label.horizon`."
            )
        if role == LABELS and waiting > self._most_bytes // _WAITING_SHARE:
            return (
                f"labels that wait for their predictions take {waiting >> 20} MiB of memory, and may take "
                f"{self._most_bytes // _WAITING_SHARE >> 20}: waiting until predictions are read. Is inference down?"
            )
        return ""

    def begin(self, partition: int) -> None:
        """See `Stateful`. Raises ContractError if no specification can be read."""
        if self._inputs is None:
            raise ContractError(self._book.trouble)
        state = self._states[partition] = JoinState(self._inputs.scores, self._book.plans)
        for role, log in state.logs.items():
            log.topic_id = self._topic_ids[role]
        self._reached[partition] = (False, 0, False)

    def forget(self, partition: int) -> None:
        """See `Stateful`."""
        self._states.pop(partition, None)

    def committed(self, partition: int) -> None:
        """See `Stateful`."""
        self._states[partition].committed()

    def discarded(self, partition: int) -> None:
        """See `Stateful`."""
        self._states[partition].discarded()

    def take_in(self, batch: Batch, plan: int) -> None:
        """See `Stateful`."""
        (partition,) = batch.spans
        read = self._read(batch, partition, plan)
        if read.newer:
            raise StateFormatError(read.newer)
        taken = self._take(batch, partition, plan, read.rows)
        self._states[partition].first_row += taken.pairs.size
        self._states[partition].committed()

    def dump(self, partition: int) -> bytes:
        """See `Stateful`."""
        return self._states[partition].dump()

    def dump_rows(self, role: str, partition: int, first: int, end: int) -> bytes:
        """See `Stateful`."""
        state = self._states[partition]
        return slab.encode(state.rows_between(role, first, end), state.names)

    def load_rows(self, role: str, partition: int, body: bytes) -> None:
        """See `Stateful`."""
        state = self._states[partition]
        kind = LABEL if role == LABELS else state.rows.kind
        rows = slab.decode(body, kind, state.names)
        if not rows.size:
            return
        if role == PREDICTIONS:
            state.predictions(rows, flagged=True)
        else:
            state.labels(rows)
        state.logs[role].kept = int(rows["offset"][-1]) + 1
        state.committed()

    def unready(self) -> str | None:
        """See `Logic`."""
        reasons = (self._book.trouble, *map(self._full, self.reads), *self._foreign.values())
        return next(filter(None, reasons), None)

    def measured(self) -> Mapping[str, float]:
        """See `Logic`."""
        told = [state.told for state in self._states.values()]
        total = {name: sum(counts[name] for counts in told) for name in ("open", "waiting", "predictions")}
        labelled = sum(counts["matched"] + counts["absent"] for counts in told)
        closed = labelled + sum(counts["expired"] for counts in told)
        return {
            "open_prediction_records": total["open"],
            "waiting_label_records": total["waiting"],
            "label_delay_seconds": self._delay_s,
            "state_bytes": sum(state.nbytes for state in self._states.values()),
            "join_coverage_ratio": labelled / closed if closed else 1.0,
        }


class _Answer(NamedTuple):
    """What is to be written once the values are there: pairs with their predictions, and the new metadata."""

    pairs: Table
    asked: Table
    mark: Mark
