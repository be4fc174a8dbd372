"""Whatever strangers write to evaluations, alarms and trainings: who reads them goes on with what is sound."""

import pytest

from freshet.avro.control import decode, encode
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.shipped import schemas_dir
from freshet.contracts.topic_table import TopicNames
from freshet.operate.alarm_log import told
from freshet.operate.facts import read
from freshet.operate.quality.series_quality import Evaluations
from freshet.operate.training_runs import trainings
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send

_NAMES = TopicNames("", "loans")
_EXAMPLES = {"evaluations": "Evaluation/served", "alarms": "Alarm/adwin", "trainings": "Training/alarm"}


def sound(role: str) -> bytes:
    """A record as its service writes it."""
    return bytes.fromhex((schemas_dir() / "examples" / f"{_EXAMPLES[role]}.hex").read_text())


@pytest.fixture
def bus() -> MemoryBus:
    """On each topic a sound record amid others."""
    cluster = MemoryCluster()
    cluster.ensure(_NAMES, 1)
    made = MemoryBus(cluster, _NAMES)
    for role in _EXAMPLES:
        good = sound(role)
        other = sound(next(name for name in _EXAMPLES if name != role))
        strange = [None, b"", b"hello", good[:-4], good + b"!", good[:8] + b"\xff" * 60, b"x" * 1_000_000, other]
        strange.append(b"\x00" + (77).to_bytes(4, "big") + good[5:])
        for value in (*strange, good, *strange):
            for key in (b"loans", b"\xff\xfe", None):
                made.producer().send(Send(role, [key if value is good else b"loans"], [value], [0]))
                if value is not good:
                    break
    return made


def test_whoever_reads_passes_over_what_is_none(bus: MemoryBus) -> None:
    """Also under a wrong key; what is empty is a tombstone, and says nothing."""
    for role in _EXAMPLES:
        found = [fact.message for fact in read(bus, role) if fact.message is not None]
        assert found == [decode(role, sound(role))] * 3
    assert len(trainings(bus, "loans")) == 1
    assert [alarm.id for alarm in told(bus, "loans")] == [decode("alarms", sound("alarms")).id]  # type: ignore[attr-defined]


def test_an_evaluation_without_its_counts_says_nothing(bus: MemoryBus) -> None:
    """It is framed as ours are, and its confusion has no place for its classes."""
    good = decode("evaluations", sound("evaluations"))
    assert isinstance(good, Evaluation)
    forged = encode(good.model_copy(update={"confusion": b"\x00" * 7, "first_row": 250, "end_row": 500}))
    bus.producer().send(Send("evaluations", [b"loans"], [forged], [0]))
    taken = Evaluations("loans")
    taken.take(read(bus, "evaluations"))
    assert taken.records
    assert {record.confusion for record in taken.records} == {good.confusion}
