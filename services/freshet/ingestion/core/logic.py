"""Ingestion: every event becomes one feature vector or one dead letter, every feedback one label or one dead letter."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from freshet.avro import take
from freshet.avro.own_schemas import Schema
from freshet.avro.reasons import DecodeReason
from freshet.avro.rows import Rows, dead_letters
from freshet.contracts.arrays import Bools, Ints
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.headers import passed
from freshet.contracts.logic import BatchLimits, Effect, Fact, Hold, Logic, Outcome, Publish, Start
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_bytes
from freshet.ingestion.core.conversion_plan import EVENTS, FEEDBACK, Plan, build_plan, read_schema
from freshet.ingestion.core.foreign_schemas import ForeignSchemas
from freshet.ingestion.core.record_converter import Answer
from freshet.ingestion.core.waiting import AwaitedSchemas

SCHEMA_WAIT_S = 60
"""A producer may ship a new schema before `freshet apply` has published it; a minute covers a rollout's disorder."""


class IngestionLogic(Logic):
    """One pipeline's ingestion. A pipeline record with a higher number takes over between two batches.

    What becomes of a row follows from its own record, its broker timestamp and the plan in force. Only how long an
    unknown schema id is waited for depends on the wall clock, and what a registry's id means on that registry.
    """

    reads: ClassVar[tuple[str, ...]] = (EVENTS, FEEDBACK)
    follows: ClassVar[tuple[str, ...]] = ("pipelines",)

    def __init__(self, pipeline: str, *, schema_wait_s: float = SCHEMA_WAIT_S) -> None:
        self._pipeline = pipeline
        self._newest: PipelineRecord | None = None
        self._schemas: dict[int, Schema] = {}
        self._plan: Plan | None = None
        self._trouble = f"pipeline {pipeline!r} is not published yet; `freshet apply` publishes it."
        self._awaited = AwaitedSchemas(int(schema_wait_s * 1000))
        self._foreign = ForeignSchemas()
        self._topic_ids: dict[str, bytes] = {}

    @property
    def limits(self) -> BatchLimits:
        """See `Logic`. Those of the plan in force."""
        if self._plan is None:
            return BatchLimits()
        limits = self._plan.spec.limits
        return BatchLimits(limits.max_batch_rows, limits.commit_interval_ms)

    def fold(self, fact: Fact) -> None:
        """Take over a record with a higher number, and keep the event schemas of all numbers readable.

        Where this version of Freshet cannot run the newest record, an older one does not stand in: partitions wait.
        """
        record = fact.message
        if record is None and self._is_withdrawn(fact.key):
            self._forget()
        if not isinstance(record, PipelineRecord) or record.pipeline != self._pipeline or record == self._newest:
            return
        if self._newest is None or record.number >= self._newest.number:
            self._newest = record
        self._awaited.try_again()
        try:
            if record is self._newest or record.event_schema_id not in self._schemas:
                self._schemas[record.event_schema_id] = read_schema(record)
            plan = build_plan(self._newest, self._schemas)
            if plan.spec.registry != self._foreign.registry:  # ids of another registry mean nothing here
                self._foreign = ForeignSchemas(plan.spec.registry)
            self._foreign.follow(self._schemas[self._newest.event_schema_id])
            self._plan = build_plan(self._newest, {**self._foreign.writers, **self._schemas})
        except ContractError as error:
            self._plan, self._trouble = None, f"pipeline {self._pipeline!r}, number {self._newest.number}: {error}"

    def _is_withdrawn(self, key: str) -> bool:
        """Whether a tombstone under this key takes away the record in force: then the pipeline was deleted."""
        return self._newest is not None and key == f"{self._pipeline}/{self._newest.number}"

    def _forget(self) -> None:
        self._newest, self._plan, self._schemas = None, None, {}
        self._foreign = ForeignSchemas()
        self._trouble = f"pipeline {self._pipeline!r} was deleted; `freshet apply` publishes it anew."

    def on_topic(self, role: str, topic_id: str) -> None:
        """What is written names the topic that it was made of."""
        self._topic_ids[role] = to_bytes(topic_id)

    def on_assign(self, role: str, partition: int, metadata: str) -> None:  # noqa: ARG002
        """Nothing is remembered of a partition but for which schemas it waits."""
        self.on_revoke(role, partition)

    def on_revoke(self, role: str, partition: int) -> None:
        """Nothing waits for a partition that is another's."""
        self._awaited.forget(role, partition)
        self._foreign.forget(role, partition)

    def waits(self, role: str, partition: int) -> str:
        """See `Logic`. For the pipeline's record, or for a schema that a producer uses ahead of time."""
        if self._plan is None:
            return self._trouble
        return self._awaited.waits(role, partition) or self._foreign.waits(role, partition)

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """Answer every row; hold the partitions in which a schema id is still waited for."""
        partitions = np.unique(batch.partitions).tolist()
        if self._plan is None:
            return [Hold(batch.role, partition, self._trouble) for partition in partitions]
        converter = self._plan.converters[batch.role]
        rows = converter.read(batch)
        holds = self._holds(batch, rows) if batch.role == EVENTS else []
        held = np.isin(batch.partitions, [hold.partition for hold in holds])
        topic_id = self._topic_ids.get(batch.role, UNKNOWN_BYTES)
        answer = converter.answer(batch, _without(rows, held) if holds else rows, topic_id)
        _assert_complete(answer, np.flatnonzero(held), len(batch))
        effects: list[Effect] = [*holds, *dead_letters([self._foreign.explained(row) for row in answer.refused])]
        if answer.at.size:
            keep = self._plan.spec.partitioning == "keep"
            kept = batch.partitions[answer.at].tolist() if keep else None
            told = passed(batch, answer.at) if self._plan.spec.headers == "pass" else None
            effects.append(Publish(converter.publishes, answer.keys, answer.values, kept, told))
        return effects

    def on_tick(self, now_ms: int) -> Iterable[Effect]:
        """Wait no longer for schemas that do not come, and ask the user's registry for those that it may have."""
        self._awaited.tick(now_ms)
        return [Start(job) for job in self._foreign.due(now_ms)]

    def on_job(self, outcome: Outcome[Any]) -> None:
        """The user's registry has answered: its schemas are read from the next batch on."""
        known = len(self._foreign.writers)
        self._foreign.on_answer(outcome)
        if self._plan and self._newest and len(self._foreign.writers) > known:
            self._plan = build_plan(self._newest, {**self._foreign.writers, **self._schemas})

    def unready(self) -> str | None:
        """Why no batch can be answered yet."""
        return None if self._plan else self._trouble

    def _holds(self, batch: Batch, rows: Rows) -> list[Hold]:
        """The partitions that wait, each for all its unknown schema ids at once: one wait, not one for each."""
        held: set[int] = set()
        for source in (self._awaited, self._foreign):
            strange: dict[int, set[int]] = {}
            for row in rows.refused:
                unknown = row.schema_id if row.reason == DecodeReason.UNKNOWN_SCHEMA else None
                if unknown is not None and source.worth_waiting(unknown):
                    strange.setdefault(int(batch.partitions[row.row]), set()).add(unknown)
            for partition, schema_ids in strange.items():
                source.wait(batch.role, partition, schema_ids)
            held |= strange.keys()
        return [Hold(batch.role, number, self.waits(batch.role, number)) for number in sorted(held)]


def _without(rows: Rows, held: Bools) -> Rows:
    """The rows outside held partitions."""
    kept = np.flatnonzero(~held[rows.at])
    return Rows(
        rows.at[kept],
        {name: take(column, kept) for name, column in rows.columns.items()},
        [row for row in rows.refused if not held[row.row]],
        None if rows.schema_ids is None else rows.schema_ids[kept],
    )


def _assert_complete(answer: Answer, unread: Ints, n: int) -> None:
    """Every row of a batch ends as exactly one record or one dead letter, or stays unread."""
    refused = np.array([row.row for row in answer.refused], np.int64)
    ends = np.bincount(np.concatenate([answer.at, refused, unread]), minlength=n)
    assert np.array_equal(ends, np.ones(n)), "a row of the batch was answered twice or not at all"
