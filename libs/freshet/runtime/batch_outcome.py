"""Turns the effects of a batch into one transaction."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from freshet.avro.control import encode
from freshet.contracts.arrays import Ints
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Abort, Announce, DeadLetter, Effect, Hold, Job, Lookup, Mark, Publish, Start
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.protocol import Place, Send
from freshet.runtime.dead_letter_records import CAP_BYTES, dead_letters


class BatchOutcome:
    """What a logic wants done about the batches of one poll."""

    def __init__(
        self,
        names: TopicNames,
        service: str,
        version: str,
        topic_ids: Mapping[str, str],
        *,
        cap_bytes: Callable[[], int] = lambda: CAP_BYTES,
        find: Callable[[Place, Ints], Batch] | None = None,
    ) -> None:
        """`topic_ids` are those of the input topics, by role; no dead letter is made larger than `cap_bytes` says.

        `find` reads what a logic looks up; it may raise RetriableError, and so may `add` then.
        """
        self._names, self._service, self._version = names, service, version
        self._topic_ids, self._cap_bytes, self._find = topic_ids, cap_bytes, find
        self.sends: list[Send] = []
        self.holds: list[Hold] = []
        self.jobs: list[Job[Any]] = []
        self.abort: str | None = None
        self.rows = 0
        self.dead = Counter[tuple[str, str]]()
        """Rows set aside, by the role of their topic and the reason."""
        self.letters: list[DeadLetter] = []
        self.ends: dict[Place, int] = {}
        """What to commit: the next offset of each partition that was answered."""
        self.marks: dict[Place, str] = {}
        """The metadata to commit with it, where that is to be another than the last."""

    def add(self, batch: Batch, effects: Iterable[Effect]) -> None:
        """Take in one batch with all that was answered to it."""
        self.rows += len(batch)
        for partition, (_, last) in batch.spans.items():
            self.ends[Place(batch.role, partition)] = last + 1
        self._carry_out(batch, effects)

    def _carry_out(self, batch: Batch, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Publish():
                    self.sends.append(Send(effect.role, effect.keys, effect.values, effect.partitions, effect.headers))
                case Announce():
                    self.sends.append(announcement(effect))
                case DeadLetter():
                    self.dead[batch.role, effect.reason] += len(effect.rows)
                    self.letters.append(effect)
                    self.sends.append(self._letters(batch, effect))
                case Mark():
                    self.marks[Place(effect.role, effect.partition)] = effect.metadata
                case Hold():
                    self.holds.append(effect)
                    self.ends.pop(Place(effect.role, effect.partition), None)
                case Abort():
                    self.abort = effect.reason
                case Start():
                    self.jobs.append(effect.job)
                case Lookup() if self._find is not None:
                    found = self._find(Place(effect.role, effect.partition), effect.offsets)
                    self._carry_out(batch, effect.then(found))
                case _:
                    raise TypeError(f"{type(effect).__name__} is not an answer to a batch.")

    def _letters(self, batch: Batch, effect: DeadLetter) -> Send:
        topic_id = self._topic_ids.get(batch.role, "")
        return dead_letters(
            batch,
            effect,
            self._names,
            self._service,
            self._version,
            topic_id=topic_id,
            cap_bytes=self._cap_bytes(),
        )


def announcement(effect: Announce) -> Send:
    """The record of one control message, or a tombstone."""
    value = None if effect.message is None else encode(effect.message)
    return Send(effect.role, [effect.key.encode()], [value])
