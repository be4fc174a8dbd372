"""What a logic with state keeps beside its answers, as records on topics of its own."""

from freshet.contracts.messages import Message


class StateRange(Message):
    """The offsets [first, end) of one input, whose state began at `since`; its rows from `plan_first` on are of the
    record's plan.
    """

    role: str
    topic_id: str
    since: int
    first: int
    end: int
    plan_first: int


class StateRecord(Message):
    """What a logic with state keeps of one partition: a checkpoint of all of it, or a slab: what one range led to.

    Rows from `plan_first` of each range on were taken in under `plan`. `first_ms` and `last_ms` are a slab's append
    times. `lives` stands for the ids of all input topics: a state rests on all of them.
    """

    partition: int
    ranges: tuple[StateRange, ...]
    plan: int
    format: int
    first_ms: int
    last_ms: int
    digest: str
    body: bytes
    lives: str = ""
