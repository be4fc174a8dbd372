"""What was answered last, by the ends of the output topics alone: cheap enough for `freshet doctor`."""

from collections.abc import Iterator
from typing import Final

from freshet.contracts.batch import Batch
from freshet.operate.verify import outputs
from freshet.operate.verify.evidence import Answers, Life, Output
from freshet.operate.verify.letters import LetterReader
from freshet.operate.verify.places import offsets_of, partitions_of
from freshet.runtime import dead_letter_records
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

_TAIL: Final = 1_000
"""So many offsets at the end of each output partition are looked through."""
_ANSWERED_ON: Final = {"events": "features", "feedback": "labels", "features": "predictions"}


def last_answered(bus: Bus, role: str) -> dict[int, int]:
    """The last offset of each input partition that the ends of the outputs answer; what is further back is left out."""
    now, output = bus.topic_id(role), _ANSWERED_ON[role]
    letters = LetterReader({one: bus.topic_id(one) for one in _ANSWERED_ON})
    for batch in _tail(bus, dead_letter_records.ROLE):
        letters.add(batch)
    found: dict[int, int] = {}
    for answers in (_answers(bus, output, now), letters.compared(role).letters):
        said = answers.inputs[(answers.lives == Life.PRESENT) & (answers.inputs >= 0)]
        for partition in set(partitions_of(said).tolist()):
            last = int(offsets_of(said[partitions_of(said) == partition]).max())
            found[partition] = max(last, found.get(partition, -1))
    return found


def _answers(bus: Bus, output: str, input_id: str) -> Answers:
    batches = _tail(bus, output)
    if output == "predictions":
        return outputs.predictions(batches, Output(), input_id, "")
    return (outputs.labels if output == "labels" else outputs.vectors)(batches, Output(), input_id)


def _tail(bus: Bus, role: str) -> Iterator[Batch]:
    starts = {Place(role, at): max(span.low, span.end - _TAIL) for at, span in bus.spans(role).items()}
    return everything(bus, role, starts)
