"""A replay after one that was killed: events and labels that are there are not sent again, and none is missing."""

from collections.abc import Iterator

import numpy as np
import pytest

from freshet.avro import Strings
from freshet.avro.own_schemas import Schema, event_schema_id
from freshet.contracts.topic_table import TopicNames
from freshet.lab.load import Load
from freshet.operate.records import Readable
from freshet.operate.tables.events import Events
from freshet.operate.tables.resume import Already
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.clock import ManualClock
from freshet.runtime.reading import everything

SCHEMA: Schema = {
    "type": "record",
    "name": "Reading",
    "fields": [{"name": "id", "type": "string"}, {"name": "who", "type": "string"}, {"name": "at", "type": "long"}],
}
SPEC_TEXT = """
pipeline: heat
entity: who
event_id: id
event_time: at
features: {version: 1, columns: [{kind: cyclic_time, of: at, period: day}]}
target: {classes: [cold, warm]}
"""
ROWS = 2500


def readings() -> Iterator[Events]:
    """Two rows of each twentieth id; every third has no label."""
    for begin in range(0, ROWS, 500):
        ids = [f"r{row - (row % 20 == 1)}" for row in range(begin, begin + 500)]
        texts = {"id": Strings.from_list(ids), "who": Strings.from_list([f"w{len(one)}" for one in ids])}
        yield Events(texts, [("warm", "cold", "")[int(one[1:]) % 3] for one in ids])


def ids(bus: MemoryBus, role: str, known: Readable, field: str) -> list[str]:
    """Of all records of a topic, in no order."""
    return sorted(value[field] for batch in everything(bus, role) for value in known.values(role, batch.values))


@pytest.mark.parametrize("decoder", ["avro", "json"])
@pytest.mark.parametrize("sends", [0, 1, 3, 5])
def test_what_is_there_is_not_sent_again(sends: int, decoder: str) -> None:
    """Killed after so many sends, with labels still to come: in the end all is there as often as the table has it."""
    spec = PipelineSpec.parse(SPEC_TEXT + f"decoder: {decoder}\n")
    cluster, names = MemoryCluster(0), TopicNames(pipeline="heat")
    cluster.ensure(names, 2, ["events", "feedback"])
    bus, number = MemoryBus(cluster, names), event_schema_id(SCHEMA)
    known = Readable({number: SCHEMA})

    def load() -> Load:
        return Load(bus.producer(), spec, SCHEMA, number, ManualClock(), labels_after=700)

    killed = load().publish(readings())
    for _ in range(sends + 1):  # it yields once before it sends
        next(killed)
    already, again = Already(bus, spec, known), load()
    for events in already.unlabelled(readings()):
        again.owe_labels(events)
    *_, sent = again.publish(already.rest(readings()))
    assert (already.passed_over, sent.events) == (500 * sends, ROWS - 500 * sends)
    wanted = [str(one) for part in readings() for one in part.columns["id"].tolist()]  # type: ignore[union-attr]
    assert ids(bus, "events", known, "id") == sorted(wanted)
    labelled = {name for name in wanted if int(name[1:]) % 3 < 2}
    assert set(ids(bus, "feedback", known, "event_id")) == labelled
    assert np.unique(ids(bus, "feedback", known, "event_id")).size == len(labelled)
