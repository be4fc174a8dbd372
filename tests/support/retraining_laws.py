"""What must hold of all that retraining ever commits. Checked on the log alone: it trusts no state of retraining."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from freshet.contracts.logic import Fact
from freshet.contracts.training_message import Training

_DECIDED = ("trigger", "trigger_id", "specification", "trainer", "params", "seed", "cut_row", "end_row", "through")
"""What a start has fixed for good."""


@dataclass
class Laws:
    """Follows one pipeline's log record by record and fails on the first one that breaks a promise."""

    begun: dict[str, Training] = field(default_factory=dict)
    ended: dict[str, Training] = field(default_factory=dict)
    answered: dict[tuple[str, str], str] = field(default_factory=dict)
    """By occasion, the training that answered it."""
    seen: int = 0

    def read(self, log: Sequence[Fact]) -> None:
        """Take in what is new in the log, up to the end of a committed batch."""
        for fact in log[self.seen :]:
            if isinstance(fact.message, Training):
                self._take(fact.message)
        self.seen = len(log)

    def _take(self, record: Training) -> None:
        occasion = (record.trigger, record.trigger_id)
        assert self.answered.setdefault(occasion, record.training) == record.training, f"{occasion} was answered twice"
        match record.phase:
            case "started":
                assert record.training not in self.begun, "a training began twice"
                assert len(self.under_way()) == 0, "two trainings are under way"
                assert 0 <= record.from_row < record.cut_row <= record.end_row
                self.begun[record.training] = record
            case "skipped":
                assert record.training not in self.begun
                assert record.reason
            case _:
                start = self.begun[record.training]
                assert record.training not in self.ended, "a training ended twice"
                assert all(getattr(start, name) == getattr(record, name) for name in _DECIDED)
                assert record.reason or record.phase == "finished"
                assert bool(record.digest) == (record.phase == "finished")
                self.ended[record.training] = record

    def under_way(self) -> list[str]:
        """Trainings without an end."""
        return sorted(self.begun.keys() - self.ended.keys())
