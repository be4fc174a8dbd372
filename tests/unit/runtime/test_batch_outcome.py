"""From the effects of a batch to one transaction: what is sent, and which offsets are committed with which metadata."""

import numpy as np
import pytest

from freshet.avro.control import decode
from freshet.contracts.logic import Abort, Announce, DeadLetter, Hold, Job, Mark, Outcome, Publish, Start
from freshet.contracts.messages import Cutover
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.batch_outcome import BatchOutcome
from freshet.runtime.bus.protocol import Place
from support.rows import features

NAMES = TopicNames("", "p")
LOAD = Job[None]()
CUT = Cutover(
    pipeline="p", lane="serve", topic_id="T", partition=0, first_offset=3, epoch=2, fallback=0, cause="rollout"
)


def work() -> BatchOutcome:
    """Nothing done yet."""
    return BatchOutcome(NAMES, "inference", "1.0", {"features": "T"})


def test_the_next_offset_of_every_partition_is_committed() -> None:
    """One past the last row, whatever order partitions come in; a second batch of the role goes on from there."""
    done = work()
    done.add(features((1, 7), (0, 3), (1, 8)), [])
    done.add(features((1, 9)), [])
    assert done.ends == {Place("features", 0): 4, Place("features", 1): 10}
    assert done.rows == 4


def test_a_mark_is_for_its_partition_alone() -> None:
    """Where there is none, the last committed metadata stays."""
    done = work()
    done.add(features((0, 3), (1, 7)), [Mark("features", 0, "e=2 f=0")])
    assert done.ends == {Place("features", 0): 4, Place("features", 1): 8}
    assert done.marks == {Place("features", 0): "e=2 f=0"}


def test_a_held_partition_is_not_committed() -> None:
    """Its rows count as unread; the others of the batch go their way."""
    done = work()
    done.add(features((0, 3), (1, 7)), [Hold("features", 1, "no model yet")])
    assert done.ends == {Place("features", 0): 4}
    assert [hold.reason for hold in done.holds] == ["no model yet"]


def test_what_is_to_be_written_keeps_its_order() -> None:
    """A cut-over goes before the answers it explains; a dead letter names its row; jobs wait for the commit."""
    done = work()
    dead = DeadLetter(np.array([1]), "input_range", ["age is 900"])
    publish = Publish("predictions", [b"k"], [b"v"], [0])
    done.add(features((0, 3), (0, 4)), [Announce("cutovers", "p/serve/T/0/3", CUT), dead, publish, Start(LOAD)])
    assert [send.role for send in done.sends] == ["cutovers", "dead-letters", "predictions"]
    assert done.sends[0].values[0] is not None
    assert decode("cutovers", done.sends[0].values[0]) == CUT
    assert done.dead == {("features", "input_range"): 1}
    assert done.jobs == [LOAD]


def test_an_abort_is_remembered_with_its_reason() -> None:
    """The loop looks at nothing else then."""
    done = work()
    done.add(features((0, 3)), [Abort("model_not_finite")])
    assert done.abort == "model_not_finite"


def test_an_effect_that_belongs_elsewhere_is_a_bug() -> None:
    """What no answer to a batch can be is not passed over in silence."""
    with pytest.raises(TypeError, match="Outcome"):
        work().add(features((0, 3)), [Outcome(LOAD)])  # type: ignore[list-item]
