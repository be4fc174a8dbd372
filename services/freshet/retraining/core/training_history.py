"""What became of the occasions of one pipeline, as the topic of trainings tells it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from freshet.contracts.training_message import Training
from freshet.retraining.core.train_job import Measured


@dataclass(slots=True)
class Trainings:
    """Folds the records of one pipeline, in the order of their topic."""

    records: dict[str, Training] = field(default_factory=dict)
    """The last word on each training, by id; in the order in which they began."""
    answered: dict[str, set[str]] = field(default_factory=dict)
    """Ids of the occasions that were answered, by kind of trigger."""
    _open: dict[str, Training] = field(default_factory=dict)
    _began_ms: dict[str, int] = field(default_factory=dict)

    def fold(self, record: Training) -> None:
        """Take in a record. A start that is read again after its end changes nothing."""
        self.answered.setdefault(record.trigger, set()).add(record.trigger_id)
        self._began_ms.setdefault(record.training, record.at_ms)
        before = self.records.get(record.training)
        if record.phase == "started" and before is not None:
            return
        self.records[record.training] = record
        if record.phase == "started":
            self._open[record.training] = record
        else:
            self._open.pop(record.training, None)

    @property
    def open(self) -> Training | None:
        """The training that has begun and not ended, the oldest if several have; None if there is none."""
        return next(iter(self._open.values()), None)

    def done(self, log: Measured) -> Iterator[Training]:
        """Trainings that began on this log, the newest first.

        None from before its oldest record, and none on rows that it does not have: that was another log of this name,
        or all its rows have expired.
        """
        return (
            record
            for record in reversed(self.records.values())
            if record.phase != "skipped"
            and record.end_row <= log.rows
            and self._began_ms[record.training] >= log.since_ms
        )

    def since(self, at_ms: int) -> int:
        """How many trainings that triggers asked for began after this time."""
        return sum(
            record.phase != "skipped" and not record.by and self._began_ms[record.training] > at_ms
            for record in self.records.values()
        )
