"""How far the join has read one of its logs."""

from dataclasses import dataclass

from freshet.drift.core.join.join_rows import Table


@dataclass(slots=True)
class ReadLog:
    """How far one log was read: its next offset, and its newest append time."""

    next: int = 0
    clock_ms: int = 0
    idle_ms: int = 0
    """It was read to its end when the other log's newest was that old."""
    inferred_ms: int = 0
    """As much of `idle_ms` as was worked out from counts, where nothing else was left to tell it."""
    kept: int = 0
    """Rows before this offset are in a slab."""
    topic_id: str = ""
    """Of the topic that there is now: the offsets are of this one."""
    plan: int = 0
    plan_first: int = 0
    """Rows from this offset on were read under `plan`, the newest one."""
    since: int = 0
    """Rows before it belong to an earlier state, which ended when one of the topics was made anew."""

    @property
    def bound_ms(self) -> int:
        """No record that is still to come was appended before."""
        return max(self.clock_ms, self.idle_ms)

    def read(self, rows: Table) -> None:
        """These were taken in; all of one plan."""
        self.reach(int(rows["offset"][-1]) + 1, int(rows["plan"][-1]))
        self.clock_ms = int(rows["time_ms"][-1])

    def reach(self, end: int, plan: int) -> None:
        """Whatever lies before this offset was read, the last of it under this plan."""
        self.plan, self.plan_first = plan, self.first_under(plan)
        self.next = end

    def first_under(self, plan: int) -> int:
        """The first offset that was, or will be, read under this plan: the newest one of both logs."""
        return self.plan_first if plan == self.plan else self.next
