"""P1: exactly one answer or dead letter for every input, and none for what is no input."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np

from freshet.contracts.arrays import Bools, Ints
from freshet.operate.verify.evidence import Answers, Inputs, Life, Output
from freshet.operate.verify.findings import Finding, Unjudged, finding
from freshet.operate.verify.places import NOWHERE, looked_up, offsets_of, partitions_of

AnyAnswers = TypeVar("AnyAnswers", bound=Answers)

_NEVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Exit:
    """A topic on which inputs of one kind may end, and what it holds of them."""

    output: Output
    answers: Answers
    same_partition: bool
    """Whether an input's answer lies on the input's own partition number; otherwise it may lie on any."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What is known of the answers on an output topic that was deleted and made anew."""

    inputs: Ints
    """The inputs that were answered there, as later topics still tell."""
    since_ms: int
    """When the first record came to the topic that is there now; EMPTIED if none did. All that is gone came before."""


@dataclass(frozen=True)
class Stage:
    """One input topic with all its exits. An unsaid life is the present one unless there was an earlier one."""

    noun: str
    role: str
    inputs: Inputs
    exits: Sequence[Exit]
    relived: bool
    """Whether anything tells of an earlier life of the input topic."""
    gone: Gone | None = None
    """Of the first exit's topic, if that had an earlier life."""

    @cached_property
    def present(self) -> tuple[Answers, ...]:
        """Of each exit what answers the present life."""
        return tuple(self.of_present(exit_.answers) for exit_ in self.exits)

    def of_present(self, answers: AnyAnswers) -> AnyAnswers:
        """Those answers that are judged as being of the present life."""
        others = {Life.EARLIER, Life.UNSAID} if self.relived else {Life.EARLIER}
        rows = np.isin(answers.lives, list(others), invert=True)
        return answers if rows.all() else answers.take(rows)

    @cached_property
    def given(self) -> Ints:
        """The inputs that were answered, ascending, as often as they were."""
        return np.sort(np.concatenate([answers.inputs for answers in self.present]))

    @cached_property
    def unanswered(self) -> Ints:
        """Indexes of the inputs that have no answer, and of which nothing tells that they had one."""
        told = [self.gone.inputs] if self.gone is not None else []
        return np.flatnonzero(~np.isin(self.inputs.ids, np.concatenate([self.given, *told])))

    @cached_property
    def settled(self) -> Bools:
        """Which of the unanswered the group has committed past, or has answered a later one of their partition.

        Offsets may be lost, but a partition is answered in order: a gap below an answer will never be filled.
        """
        ids = self.inputs.ids[self.unanswered]
        ends = dict(self.inputs.committed)
        for partition, highest in self.answered.items():
            ends[partition] = max(ends.get(partition, 0), highest)
        return offsets_of(ids) < looked_up(ends, partitions_of(ids), 0)

    @cached_property
    def answered(self) -> dict[int, int]:
        """The highest offset of each partition that is answered for certain."""
        found: dict[int, int] = {}
        for exit_, answers in zip(self.exits, self.present, strict=True):
            proven = answers.inputs[exit_.output.proves(answers.ids)]
            proven = proven[np.isin(proven, self.inputs.ids)]  # an answer to what does not exist proves nothing
            for partition in np.unique(partitions_of(proven)).tolist():
                highest = int(proven[partitions_of(proven) == partition].max())
                found[partition] = max(found.get(partition, 0), int(offsets_of(np.array(highest))))
        return found

    @cached_property
    def hidden(self) -> Bools:
        """Which of the unanswered may have an answer that an open transaction hides."""
        partitions = partitions_of(self.inputs.ids[self.unanswered])
        found = np.zeros(len(partitions), dtype=bool)
        for exit_ in self.exits:
            if exit_.output.hidden:
                found |= np.isin(partitions, list(exit_.output.hidden)) | (not exit_.same_partition)
        return found

    @cached_property
    def expired(self) -> Bools:
        """Which of the unanswered may have had an answer that retention has taken.

        Answers to one input partition lie in its order on each output partition. So what came after the first one
        that is left there had no answer there; and what came to the broker after the first record that is left.
        """
        ids, times_ms = self.inputs.ids[self.unanswered], self.inputs.times_ms[self.unanswered]
        found = np.zeros(len(ids), dtype=bool)
        width = max((*self.inputs.lows, *partitions_of(self.inputs.ids[-1:]).tolist()), default=0) + 1
        for exit_, answers in zip(self.exits, self.present, strict=True):
            homes = partitions_of(answers.ids) if exit_.output.kept_since_ms else answers.ids
            for home, since_ms in exit_.output.kept_since_ms.items():
                kept = answers.inputs[homes == home]
                kept = kept[(kept != NOWHERE) & (partitions_of(kept) < width)]
                firsts = np.full(width, _NEVER)
                np.minimum.at(firsts, partitions_of(kept), offsets_of(kept))
                partitions = partitions_of(ids)
                gone = (times_ms <= since_ms) & (offsets_of(ids) < firsts[partitions])
                found |= gone & (partitions == home) if exit_.same_partition else gone
        return found

    @cached_property
    def made_anew(self) -> Bools:
        """Which of the unanswered may have had an answer that went with an earlier life of the output topic.

        An input partition is answered in order, so whatever lies behind its first answer in the present life had none.
        """
        ids = self.inputs.ids[self.unanswered]
        if self.gone is None:
            return np.zeros(len(ids), dtype=bool)
        firsts = np.full(len(ids), _NEVER)
        answered = self.present[0].inputs
        for partition in np.unique(partitions_of(ids)).tolist():
            own = offsets_of(answered[partitions_of(answered) == partition])
            firsts[partitions_of(ids) == partition] = own.min(initial=_NEVER)
        return (self.inputs.times_ms[self.unanswered] <= self.gone.since_ms) & (offsets_of(ids) < firsts)

    @cached_property
    def ambiguous(self) -> Bools:
        """Which of the unanswered have an answer that does not say which life it belongs to."""
        unsaid = [exit_.answers.inputs[exit_.answers.lives == Life.UNSAID] for exit_ in self.exits]
        return np.isin(self.inputs.ids[self.unanswered], np.concatenate(unsaid))

    @cached_property
    def unjudgeable(self) -> Sequence[tuple[Bools, str]]:
        """Which of the unanswered cannot be judged, each with its reason, and no row twice."""
        told_apart = self.settled & ~self.ambiguous
        anew = f"inputs without an answer, which an earlier {self.exits[0].answers.role} topic may have held"
        return [
            (self.ambiguous, _UNSAID),
            (told_apart & self.made_anew, anew),
            (told_apart & self.expired & ~self.made_anew, _EXPIRED),
        ]

    @cached_property
    def lost(self) -> Ints:
        """Identities of the inputs that have no answer and will have none."""
        excused = np.any([rows for rows, _ in self.unjudgeable], axis=0)
        lost: Ints = self.inputs.ids[self.unanswered[self.settled & ~self.hidden & ~excused]]
        return lost

    @property
    def pending(self) -> int:
        """Inputs whose answer may still come, or come to light."""
        excused = self.expired | self.made_anew
        return int((~self.ambiguous & (~self.settled | (self.hidden & ~excused))).sum())

    @property
    def judged(self) -> int:
        """Inputs of which it is known whether they were answered, or are still to be."""
        return len(self.inputs.ids) - sum(int(rows.sum()) for rows, _ in self.unjudgeable)

    def findings(self) -> Iterator[Finding]:
        """The three checks of P1."""
        unique, counts = np.unique(self.given, return_counts=True)
        known = np.isin(unique, self.inputs.ids)
        lows = looked_up(self.inputs.lows, partitions_of(unique), -1)
        phantom = unique[~known & (offsets_of(unique) >= lows)]
        yield finding("P1", f"no {self.noun} is lost", self.judged - self.pending, self.lost)
        yield finding("P1", f"no {self.noun} is answered twice", len(self.given), unique[(counts > 1) & (unique >= 0)])
        yield finding("P1", f"no answer without its {self.noun}", len(self.given), phantom)

    def unjudged(self) -> Iterator[Unjudged]:
        """What could not be judged here, and why."""
        for rows, why in self.unjudgeable:
            yield Unjudged(self.role, int(rows.sum()), why)
        yield Unjudged(self.role, self.inputs.expired, _INPUT_EXPIRED)
        yield Unjudged(self.role, sum(self.inputs.behind_open.values()), _BEHIND)
        for exit_ in self.exits:
            lives = exit_.answers.lives
            role = exit_.answers.role
            yield Unjudged(role, int((lives == Life.EARLIER).sum()), f"answers of an earlier life of {self.role}")
            if self.relived:
                yield Unjudged(role, int((lives == Life.UNSAID).sum()), f"answers that do not say of which {self.role}")


_UNSAID: Final = "inputs whose answer does not say which life of the topic it is of"
_EXPIRED: Final = "inputs without an answer, which retention may have taken"
_INPUT_EXPIRED: Final = "offsets (markers included) whose records retention has taken"
_BEHIND: Final = "offsets behind an open transaction of a producer"
