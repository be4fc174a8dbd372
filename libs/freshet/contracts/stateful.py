"""A logic with state: what it promises, and the ways in which its state comes back."""

from dataclasses import dataclass
from typing import ClassVar

from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Logic


class StateFormatError(ContractError):
    """State that another release of the logic wrote: this one cannot go on from it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """For small state: all of it in one record on a compacted topic, as soon as so much was read since the last one.

    A restart reads that again. Rows bound what it computes then, bytes what it reads: a row may itself be a record of
    thousands of rows. A state of many kilobytes is written for megabytes of input, so that it is little beside them.
    Time bounds how old the rows are that it rests on: of a slow stream they would have expired before there are many.
    """

    role: str
    rows: int = 10_000
    input_bytes: int = 16 << 20
    span_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class Slabs:
    """For state that follows from windows of its inputs: a record for each range of some rows of each input."""

    role: str
    rows: int = 4_096
    """A slab holds what offsets o with the same `o // rows` led to, and ends with the day."""


class Stateful(Logic):
    """A logic with one state for each partition number: of all its inputs together, which therefore move together.

    **The state is a function of what each input held up to some offset**: not of how inputs were interleaved, where
    batches were cut, or what was rewound. So it can always be had again by reading the inputs. `kept` is a quicker way;
    what it lacks is read from the inputs, and where they have expired too, the service stops.

    `on_batch` only stages what its rows change. `committed` or `discarded` says what becomes of it, and nothing may be
    lost from the state before. All methods are about the state with what is staged.
    """

    kept: ClassVar[Checkpoint | Slabs | None] = None
    """How state is written beside the answers; None: not at all."""
    state_format: ClassVar[int] = 1
    """Changes whenever what `dump` and `dump_rows` write is to be read in another way."""
    older_formats: ClassVar[tuple[int, ...]] = ()
    """Formats of older releases that `load` and `load_rows` can tell, and read, as well."""

    @property
    def reach_ms(self) -> int | None:
        """Rows that were appended so long before the newest row of their input matter no more; None: all matter."""
        return None

    @property
    def answers_silence(self) -> bool:
        """Whether rows out of reach may still have to be answered, because nothing came that concerns them."""
        return False

    @property
    def plan(self) -> int:
        """Which of its plans rows are taken in under now; changes between batches only."""
        return 0

    def begin(self, partition: int) -> None:
        """The state of a partition of which nothing was read yet; replaces what was there."""
        raise NotImplementedError

    def forget(self, partition: int) -> None:
        """The state of this partition is another worker's now."""
        raise NotImplementedError

    def committed(self, partition: int) -> None:
        """What is staged became visible: it is part of the state."""
        raise NotImplementedError

    def discarded(self, partition: int) -> None:
        """What is staged, if anything, never was: the same rows come again."""
        raise NotImplementedError

    def take_in(self, batch: Batch, plan: int) -> None:
        """Change the state as these rows of one partition did when they were answered under that plan; nothing else.

        They were committed: nothing is staged, announced or started. Raises UnheardError where they name what no fact
        tells yet: they are read again once the facts are.
        """
        raise NotImplementedError

    def dump(self, partition: int) -> bytes:
        """The whole state, for a checkpoint. The same state gives the same bytes."""
        raise NotImplementedError

    def load(self, partition: int, body: bytes) -> None:
        """Go on from a dump; the partition has just begun."""
        raise NotImplementedError

    def unsure(self) -> bool:
        """Whether rows wait only because a fact may be on its way: the control topics are then read to their ends."""
        return False

    def on_facts_read(self) -> str:
        """All facts are folded that were there when it became unsure. Returns what it goes on without, for the log."""
        return ""

    def dump_rows(self, role: str, partition: int, first: int, end: int) -> bytes:
        """What the rows first ≤ offset < end of this input led to, for a slab. The same rows give the same bytes."""
        raise NotImplementedError

    def load_rows(self, role: str, partition: int, body: bytes) -> None:
        """Change the state as those rows did. Slabs and rows of one input come in ascending order."""
        raise NotImplementedError
