"""A pipeline's predictions and labels, and what drift's services made of them: the ground for breaches.

The labelled log is written by the join's reference, which reads one record at a time; evaluations and alarms by the
folds themselves.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from freshet.avro import Column, Decoder, Encoder, Ragged, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.errors import ContractError
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Alarm, Message, Minute, Outcomes, PipelineRecord
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_bytes
from freshet.detectors.observing import LogRecord
from freshet.drift.core.join.join_rows import Windows
from freshet.operate.facts import ledger_of
from freshet.operate.verify.drift.drift_judge import DriftJudgement, judge_drift
from freshet.operate.verify.drift.refolded import alarm_fold, evaluation_fold
from freshet.operate.verify.drift.windows import windows_of
from freshet.operate.verify.visible import Patience
from freshet.outcomes.outcome_rows import NO_VALUES, OutcomeRows
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Committed, Place, Send
from freshet.runtime.reading import everything
from support.buses import BusWorld, MemoryWorld
from support.inference import model
from support.join_reference import Label, Prediction, Reference, Row

PIPELINE: Final = "fraud"  # MemoryWorld's
CLASSES: Final = ("ok", "bad")
MINUTE: Final = 60_000
SPEC: Final = """
pipeline: fraud
entity: card
event_id: id
event_time: at
partitions: 2
features: {version: 3, columns: [{kind: field, of: amount}, {kind: field, of: hour}]}
target: {classes: [ok, bad]}
label: {horizon: 10m, grace: 1m, wait: 2m, absent_after: 8m, means: ok}
detectors: [{kind: adwin}]
"""
ROLES: Final = (
    *("features", "predictions", "labels", "outcomes", "pipelines", "models", "evaluations", "alarms"),
    *("dead-letters", "cutovers", "rollouts"),
)
_COUNTS: Final = (
    *("predictions", "duplicate_event", "labels", "matched", "revised", "superseded", "late", "unknown"),
    *("known_before", "absent", "expired"),
)


@dataclass
class Story:
    """One pipeline on a bus in memory. `ask`, `tell` and `join` write; `say` writes what follows of the log."""

    world: BusWorld = field(default_factory=MemoryWorld)
    outcomes: list[Outcomes] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    committed: dict[str, int] = field(default_factory=dict)
    """By service, the next offset of the labelled log that it reads."""
    wrong: bool = False
    """Whether predictions are wrong."""

    def __post_init__(self) -> None:
        self.world.make_topics(*ROLES)
        self.bus = self.world.bus
        self._producer = self.bus.producer()
        self._encoders = {
            record: Encoder(current_schema(record), schema_id(record))
            for record in ("Prediction", "Label", "FeatureVector")
        }
        self._specs: dict[int, str] = {}
        self._references: dict[int, Reference] = {}
        self._read: dict[tuple[str, int], int] = {}
        self._asked: dict[tuple[int, int], dict[str, Any]] = {}
        self._rows: dict[int, int] = {}
        self._seen: dict[int, tuple[int, dict[tuple[str, int, int], int]]] = {}
        self.publish(SPEC)
        told = model("1.0.0", ["amount", "hour"]).model_copy(update={"pipeline": PIPELINE})
        self._send("models", f"{PIPELINE}/1.0.0", told)

    def publish(self, text: str, number: int = 1) -> None:
        """Publish a specification."""
        self._specs[number] = text
        record = PipelineRecord(pipeline=PIPELINE, number=number, spec=text, event_schema="", event_schema_id=1)
        self._send("pipelines", f"{PIPELINE}/{number}", record)

    def _send(self, role: str, key: str, message: Message) -> None:
        self._producer.send(Send(role, [key.encode()], [encode(message)]))

    def _data(self, role: str, record: str, columns: dict[str, Column], partition: int) -> list[int]:
        values = self._encoders[record].encode(columns)
        return self._producer.send(Send(role, [b"card"] * len(values), values, [partition] * len(values)))

    def ask(self, ids: Sequence[str], partition: int = 0) -> None:
        """A vector and a prediction for each id; all are `bad` if `wrong`."""
        count = len(ids)
        values = np.stack([np.arange(count), np.full(count, np.nan)], axis=1).astype(np.float32)
        common: dict[str, Column] = {
            "event_id": Strings.from_list(ids),
            "entity": Strings.repeat("card", count),
            "event_time": np.arange(count, dtype=np.int64),
            "source_partition": np.full(count, partition, np.int32),
            "source_offset": np.arange(count, dtype=np.int64),
            "source_topic": Strings.repeat(UNKNOWN_BYTES, count),
        }
        vectors: dict[str, Column] = {"spec_version": np.full(count, 3, np.int32), "values": Ragged.from_matrix(values)}
        offsets = self._data("features", "FeatureVector", common | vectors, partition)
        scores = np.array([0.25, 0.75] if self.wrong else [0.75, 0.25], np.float32)
        predictions: dict[str, Column] = {
            "label": Strings.repeat(CLASSES[self.wrong], count),
            "scores": Ragged.from_matrix(np.tile(scores, (count, 1))),
            "version": Strings.repeat("1.0.0", count),
            "epoch": np.full(count, 4, np.int64),
            "fallback": np.zeros(count, np.int32),
            "arm": np.zeros(count, np.int32),
            "features_partition": np.full(count, partition, np.int32),
            "features_offset": np.array(offsets, np.int64),
            "features_topic": Strings.repeat(to_bytes(self.bus.topic_id("features")), count),
        }
        places = self._data("predictions", "Prediction", common | predictions, partition)
        for at, offset in enumerate(places):
            self._asked[partition, offset] = {
                "id": ids[at],
                "features_offset": offsets[at],
                "event_time_ms": at,
                "answer": int(self.wrong),
                "scores": scores,
                "values": values[at],
            }

    def tell(self, labels: Sequence[tuple[str, int, str]], partition: int = 0) -> None:
        """Labels: id, revision, class."""
        count = len(labels)
        columns: dict[str, Column] = {
            "event_id": Strings.from_list([name for name, _, _ in labels]),
            "entity": Strings.repeat("card", count),
            "label": Strings.from_list([label for _, _, label in labels]),
            "labelled_at": np.arange(count, dtype=np.int64),
            "revision": np.array([revision for _, revision, _ in labels], np.int32),
            "source_partition": np.full(count, partition, np.int32),
            "source_offset": np.arange(count, dtype=np.int64),
            "source_topic": Strings.repeat(UNKNOWN_BYTES, count),
        }
        self._data("labels", "Label", columns, partition)

    def join(self, partition: int = 0, number: int = 1, *, roles: Sequence[str] = ("predictions", "labels")) -> None:
        """Read on in these topics, one after the other, and keep a record of what comes of each."""
        for role in roles:
            reference = self._references.setdefault(partition, Reference({}))
            reference.windows[number] = Windows(*windows_of(PipelineSpec.parse(self._specs[number])))
            rows = len(reference.rows)
            read = self._inputs(role, partition, number)
            for one in read:
                reference.prediction(one) if isinstance(one, Prediction) else reference.label(one)
            if read:
                self._read[role, partition] = read[-1].offset + 1
                self.outcomes.append(self._record(partition, number, reference, reference.rows[rows:]))

    def _inputs(self, role: str, partition: int, number: int) -> list[Prediction] | list[Label]:
        record = {"predictions": "Prediction", "labels": "Label"}[role]
        found: list[Any] = []
        decoder = Decoder(current_schema(record))
        start = max(self._read.get((role, partition), 0), self.bus.spans(role)[partition].low)
        for batch in everything(self.bus, role, {Place(role, partition): start}):
            columns: Mapping[str, Any] = decoder.decode(batch.values).columns
            ids, classes = columns["event_id"].tolist(), columns["label"].tolist()
            for at, (offset, at_ms) in enumerate(
                zip(batch.offsets.tolist(), batch.timestamps_ms.tolist(), strict=True)
            ):
                key = (hash(ids[at]), 0)
                if role == "predictions":
                    answer = self._asked[partition, offset]["answer"]
                    found.append(Prediction(key, offset, at_ms, number, answer))
                else:
                    value = float(CLASSES.index(classes[at]))
                    claimed, revision = int(columns["labelled_at"][at]), int(columns["revision"][at])
                    found.append(Label(key, offset, at_ms, claimed, revision, value, number))
        return found

    def _record(self, partition: int, number: int, reference: Reference, rows: list[Row]) -> Outcomes:
        counts = {name: reference.counts[name] for name in _COUNTS}
        asked = reference.asked
        counts["open"] = sum(one.revision < -(2**31) and not (one.closed or one.duplicate) for one in asked)
        counts["waiting"] = len(reference.waiting)
        first = self._rows.get(partition, 0)
        self._rows[partition] = first + len(rows)
        before, now = self._seen.get(partition, (0, {}))[1], dict(reference.minutes)
        self._seen[partition] = (0, now)
        changes = [
            (*part, *(now.get((kind, *part), 0) - before.get((kind, *part), 0) for kind in ("predictions", "labelled")))
            for part in sorted({key[1:] for key in now})
        ]
        columns = self._columns(partition, reference, rows)
        return Outcomes(
            pipeline=PIPELINE,
            partition=partition,
            first_row=first,
            number=number,
            features_topic=self.bus.topic_id("features"),
            inputs={r: self._read[r, partition] for r in ("predictions", "labels") if (r, partition) in self._read},
            counts=counts,
            minutes=tuple(Minute(start_ms=s, answer=a, predictions=p, labelled=n) for s, a, p, n in changes if p or n),
            rows=len(rows),
            spec_version=3,
            width=2,
            classes=2,
            versions=("1.0.0",),
            input_topics={role: self.bus.topic_id(role) for role in ("predictions", "labels")},
            number_from={},
            state_from={},
            **columns.columns(),
        )

    def _columns(self, partition: int, reference: Reference, rows: list[Row]) -> OutcomeRows:
        asked = [self._asked[partition, row.prediction_offset] for row in rows]
        times = {one.at.offset: one.at.time_ms for one in reference.asked}
        none = np.zeros((len(rows), 2), np.float32)

        def whole(values: Sequence[int]) -> Any:
            return np.array(values, np.int64)

        return OutcomeRows(
            versions=("1.0.0",),
            prediction_offset=whole([row.prediction_offset for row in rows]),
            label_offset=whole([row.label_offset for row in rows]),
            features_offset=whole([one["features_offset"] for one in asked]),
            event_time_ms=whole([one["event_time_ms"] for one in asked]),
            predicted_ms=whole([times[row.prediction_offset] for row in rows]),
            labelled_ms=whole([row.labelled_ms for row in rows]),
            claimed_ms=whole([row.claimed_ms for row in rows]),
            version=whole([0] * len(rows)),
            epoch=whole([4] * len(rows)),
            fallback=whole([0] * len(rows)),
            answer=whole([one["answer"] for one in asked]),
            label=whole([int(row.value) for row in rows]),
            truth=np.full(len(rows), np.nan),
            scores=np.stack([one["scores"] for one in asked]) if rows else none,
            weight=whole([row.weight for row in rows]),
            revision=whole([row.revision for row in rows]),
            flags=whole([row.flags & ~NO_VALUES for row in rows]),
            values=np.stack([one["values"] for one in asked]) if rows else none,
        )

    def write_log(self) -> None:
        """Write the labelled log as it is in `outcomes`, and keep what follows of it."""
        for record in self.outcomes:
            self._producer.send(Send("outcomes", [str(record.partition).encode()], [encode(record)], [0]))
        ledger = ledger_of(self.bus, "pipelines", "models").of(PIPELINE)
        specs = {number: PipelineSpec.parse(record.spec) for number, record in ledger.specifications.items()}
        evaluate, detect = evaluation_fold(specs), alarm_fold(PIPELINE, specs, ledger)
        times: list[int] = []
        for batch in everything(self.bus, "outcomes"):
            times += batch.timestamps_ms.tolist()
        with suppress(ContractError):  # a service stops where the log is not whole
            for offset, record in enumerate(self.outcomes):
                at = LogRecord(offset, times[offset], record)
                self.evaluations += evaluate(at)
                self.alarms += detect(at)
        self.committed = dict.fromkeys(("drift-evaluate", "drift-detect"), len(self.outcomes))

    def write_said(self) -> None:
        """Write evaluations and alarms as they are."""
        for role, messages in (("evaluations", self.evaluations), ("alarms", self.alarms)):
            for message in messages:
                self._send(role, PIPELINE, message)

    def judged(self, **but: Any) -> DriftJudgement:
        """What verify says."""

        def committed(service: str, role: str) -> Mapping[int, Committed]:
            if service == "drift-join":
                return {number: Committed(offset) for (of, number), offset in self._read.items() if of == role}
            return {0: Committed(self.committed[service])} if service in self.committed else {}

        patience = Patience(0.0)
        return judge_drift(self.bus, PIPELINE, committed, patience=patience, **but)


def good(outcomes: int = 3) -> Story:
    """Two partitions; re-used ids, corrections, labels too early and of nobody; right, then always wrong."""
    story = Story()
    story.tell([("0-early", 0, "bad")])
    for turn in range(outcomes):
        story.wrong = turn > 0
        for partition in (0, 1):
            ids = [f"{partition}-{turn}-{at}" for at in range(100)]
            story.ask([*ids, f"{partition}-early", ids[0]], partition)
            story.world.pass_time(MINUTE)
            story.tell([(name, 0, "ok") for name in ids[:90]], partition)
            story.tell([(ids[3], 1, "bad"), (ids[3], 0, "ok"), ("nobody", 0, "ok")], partition)
            story.join(partition)
        story.world.pass_time(3 * MINUTE)
    story.tell([("0-0-99", 0, "bad")])
    story.world.pass_time(2 * MINUTE)
    story.ask(["0-last"])
    story.tell([("0-last", 0, "ok")])
    story.join(0)
    return story


def replaced(record: Outcomes, row: int, **columns: Any) -> Outcomes:
    """The record, in which one row says something else."""
    rows = OutcomeRows.of(record)
    changed = {}
    for name, value in columns.items():
        column = getattr(rows, name).copy()
        column[row] = value
        changed[name] = column
    every = {name: getattr(rows, name) for name in OutcomeRows.__dataclass_fields__} | changed
    return record.model_copy(update=OutcomeRows(**every).columns())
