"""Publishes events at a steady rate, spoils some on the way, and sends their labels later."""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from freshet.avro import Column, Columns, Encoder, Strings
from freshet.avro.event_fields import event_fields
from freshet.avro.own_schemas import Schema, current_schema, schema_id
from freshet.lab.corruption import Corrupter
from freshet.operate.event_values import event_encoder, plain
from freshet.operate.tables.events import BATCH_ROWS, Events
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Producer, Send
from freshet.runtime.clock import Clock
from freshet.runtime.interrupts import interrupts_held

_SENDS_PER_S: Final = 10
_BEHIND_MS_MAX: Final = 1000.0  # after a stall the rate is kept, not made up for


@dataclass(slots=True)
class Sent:
    """What was published so far."""

    events: int = 0
    """All events, spoiled ones included."""
    corrupted: Counter[str] = field(default_factory=Counter)
    labels: int = 0
    began_ms: int = 0
    now_ms: int = 0
    unacknowledged: bool = False
    """Whether a send failed or was broken off: some of its records may be on the topic, and are not counted."""

    @property
    def per_s(self) -> float:
        """Events per second since the first."""
        return self.events * 1000 / max(1, self.now_ms - self.began_ms)


class Load:
    """The producers of one pipeline, for replays, demos and fault runs.

    `rate` (events per second, None for as fast as acknowledged) and `corrupt_share` may be changed between steps.
    Spoiled events get no label, as nobody knows what became of them.
    """

    def __init__(
        self,
        producer: Producer,
        spec: PipelineSpec,
        schema: Schema,
        event_schema_id: int,
        clock: Clock,
        *,
        rate: float | None = None,
        corrupt_share: float = 0.0,
        corrupt_kinds: Collection[str] | None = None,
        labels_after: int | None = None,
        seed: int = 0,
    ) -> None:
        """`labels_after`: how many more events are published before a label is; None for no labels.

        `corrupt_kinds`: of `corruption.KINDS`; None for all that fit the pipeline.
        """
        self.rate = rate
        self.corrupt_share = corrupt_share
        self._producer = producer
        self._spec = spec
        self._clock = clock
        self._labels_after = labels_after
        self._rng = np.random.default_rng(seed)
        self._encode = event_encoder(spec, schema, event_schema_id)
        self._corrupter = Corrupter(spec, schema, event_schema_id, corrupt_kinds)
        self._feedback = Encoder(current_schema("Feedback"), schema_id("Feedback"))
        self._ticks_per_ms = event_fields(schema)[spec.event_time].ticks_per_ms
        self._unlabelled: deque[tuple[int, dict[str, Strings]]] = deque()
        self._due_ms = self._last_ms = 0.0

    @property
    def corrupt_kinds(self) -> tuple[str, ...]:
        """The ways in which events are spoiled."""
        return self._corrupter.kinds

    def publish(self, source: Iterable[Events]) -> Iterator[Sent]:
        """Send all events of the source, then the labels that are left.

        Yields at first and after each send, always the same object. Blocks while it waits for the rate and for
        acknowledgements, so at most one batch is in flight. Raises FatalError or RetriableError; what was sent before
        stays sent. A KeyboardInterrupt rises between two sends, while it waits for the rate, or when a send did not end
        soon after it. The object counts all that was acknowledged, and says whether more may have been sent. Event
        times that we set never go back.
        """
        sent = Sent(began_ms=self._clock.now_ms())
        self._due_ms = float(sent.began_ms)
        yield sent
        for events in source:
            for part in self._parts(events):
                self._wait(len(part))
                with interrupts_held():  # what was sent is counted: who goes on later repeats nothing
                    self._send(part, sent)
                    self._send_labels(sent, all_of_them=False)
                yield sent
        self.send_last_labels(sent)
        yield sent

    def send_last_labels(self, sent: Sent, within_s: float | None = None) -> None:
        """Send at once the labels that are still to come, for who ends early; those that `within_s` allows.

        Raises FatalError or RetriableError.
        """
        self._send_labels(sent, all_of_them=True, within_s=within_s)

    @property
    def unlabelled(self) -> int:
        """Events that were sent, and whose labels are known and were not."""
        return sum(len(labelled["label"]) for _, labelled in self._unlabelled)

    def _parts(self, events: Events) -> Iterator[Events]:
        rows = np.arange(len(events))
        while rows.size:
            limit = BATCH_ROWS if self.rate is None else min(BATCH_ROWS, max(1, round(self.rate / _SENDS_PER_S)))
            yield events.part(rows[:limit])
            rows = rows[limit:]

    def _wait(self, rows: int) -> None:
        """Until the next send is due; the one after it is due when these rows have had their time."""
        if self.rate is None:
            return
        now_ms = float(self._clock.now_ms())
        self._due_ms = max(self._due_ms, now_ms - _BEHIND_MS_MAX)
        if self._due_ms > now_ms:
            self._clock.sleep((self._due_ms - now_ms) / 1000)
        self._due_ms += rows * 1000 / self.rate

    def _send(self, events: Events, sent: Sent) -> None:
        columns = self._stamped(events)
        values, kinds = self._corrupter.corrupt_some(self._rng, self.corrupt_share, self._encode(columns), columns)
        entities = _text(columns[self._spec.entity])
        self._acknowledged(Send("events", entities.tobytes(), values), sent)
        sent.events += len(values)
        sent.corrupted.update(kinds.values())
        sent.now_ms = self._clock.now_ms()
        good = [row for row in range(len(values)) if row not in kinds]
        self._owe(events.part(np.array(good, np.int64)), sent.events)

    def _acknowledged(self, records: Send, sent: Sent, within_s: float | None = None) -> None:
        before, sent.unacknowledged = sent.unacknowledged, True
        self._producer.send(records, within_s)
        sent.unacknowledged = before

    def owe_labels(self, events: Events) -> None:
        """These events were sent by somebody else, without their labels: send the labels along with those of ours."""
        self._owe(events, 0)

    def _owe(self, events: Events, sent_events: int) -> None:
        """The labels that are known are due when enough more events have been sent."""
        good = np.array([row for row, label in enumerate(events.labels or []) if label], np.int64)
        if self._labels_after is None or not good.size:
            return
        labels = Strings.from_list(events.labels or [])
        ids, entities = (_text(events.columns[name]) for name in (self._spec.event_id, self._spec.entity))
        labelled = {"event_id": ids.take(good), "entity": entities.take(good), "label": labels.take(good)}
        self._unlabelled.append((sent_events + self._labels_after, labelled))

    def _stamped(self, events: Events) -> Columns:
        if self._spec.event_time in events.columns:
            return events.columns
        self._last_ms = max(self._last_ms, self._clock.now_ms())
        now = np.full(len(events), int(self._last_ms) * self._ticks_per_ms, np.int64)
        return {**events.columns, self._spec.event_time: now}

    def _send_labels(self, sent: Sent, *, all_of_them: bool, within_s: float | None = None) -> None:
        """Labels of events that enough others have followed."""
        began_ms, left_s = self._clock.elapsed_ms(), within_s
        while self._unlabelled and (all_of_them or self._unlabelled[0][0] <= sent.events):
            if within_s is not None:
                left_s = within_s - (self._clock.elapsed_ms() - began_ms) / 1000
                if left_s <= 0:
                    return
            _, labelled = self._unlabelled[0]
            rows = len(labelled["label"])
            now_ms, first = np.full(rows, self._clock.now_ms(), np.int64), np.zeros(rows, np.int32)
            values = self._feedback.encode({**labelled, "labelled_at": now_ms, "revision": first})
            self._acknowledged(Send("feedback", labelled["entity"].tobytes(), values), sent, left_s)
            self._unlabelled.popleft()
            sent.labels += rows


def _text(column: Column) -> Strings:
    return Strings.from_list(list(map(str, plain(column))))
