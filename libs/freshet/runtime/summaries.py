"""Outputs whose records say how far all inputs of a partition were read: where its offsets are lost, they tell them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from freshet.contracts.messages import Message
from freshet.runtime.state.state_mark import StateMark


@dataclass(frozen=True, slots=True)
class Summed:
    """What a record says of one partition: the next offset of each input behind it, and the metadata they had.

    `topic_ids` say by role of which topics the offsets are; a role that is missing, or has an empty id, does not say
    (an older release wrote it). `plan` is the one under which inputs were read from `plan_first` on, 0 if untold.
    `since` is where the state began; the beginning of the topic where it is 0.
    """

    pipeline: str
    partition: int
    inputs: Mapping[str, int]
    metadata: str
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    plan: int = 0
    plan_first: Mapping[str, int] = field(default_factory=dict)
    since: Mapping[str, int] = field(default_factory=dict)

    def is_of(self, role: str, topic_ids: Mapping[str, str]) -> bool:
        """Whether its offset is of the topic that this input has now, as far as both are known."""
        said, present = self.topic_ids.get(role, ""), topic_ids.get(role, "")
        return not said or not present or said == present

    def mark(self, role: str, topic_ids: Mapping[str, str]) -> StateMark | None:
        """What it says of the state behind it; None if that rested on a topic that was made anew since."""
        if not all(self.is_of(other, topic_ids) for other in self.topic_ids):
            return None
        return StateMark(self.since.get(role) or None, self.plan, self.plan_first.get(role, 0))


@dataclass(frozen=True, slots=True)
class Summary:
    """An output topic, of one partition, whose newest record of each partition of the inputs says so."""

    output: str
    read: Callable[[Message], Summed | None]
    """None of a record that is another service's."""
