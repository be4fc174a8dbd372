"""What ingestion has made of events and feedback is compared with them, however they are written."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from freshet.avro.written_schema import FoundSchema
from freshet.contracts.batch import Batch
from freshet.contracts.logic import Publish
from freshet.contracts.messages import PipelineRecord
from freshet.operate.foreign_ids import ForeignIds
from freshet.operate.verify import outputs
from freshet.operate.verify.evidence import Output, Told, Vectors
from freshet.operate.verify.places import identity
from freshet.operate.verify.repeated import with_events, with_feedback
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload
from support.ingestion import SCHEMA, SPEC_TEXT, applied, batch, feedback, framed, framed_feedback, loan, serving

JSON_TEXT = SPEC_TEXT.replace("entity: applicant", "entity: applicant\ndecoder: json")
WIDER = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "note", "type": "string"}]}
MICROS = json.loads(json.dumps(SCHEMA).replace("timestamp-millis", "timestamp-micros"))


def record_of(text: str, schema: object = SCHEMA) -> PipelineRecord:
    """What is published of the pipeline."""
    record = applied(text, schema).message  # type: ignore[arg-type]
    assert isinstance(record, PipelineRecord)
    return record


def written(effects: Sequence[object]) -> Batch:
    """What a logic publishes, as a batch of its topic."""
    (publish,) = [effect for effect in effects if isinstance(effect, Publish)]
    rows = enumerate(zip(publish.keys, publish.values, strict=True))
    records = [MemoryRecord(At("loans.out", 0), row, 0, Payload(key, value, None)) for row, (key, value) in rows]
    return Batch(publish.role, records)


def made(text: str, events: Batch, schema: object = SCHEMA) -> Vectors:
    """The vectors that ingestion makes of these events."""
    logic = serving(text, schema)  # type: ignore[arg-type]
    return outputs.vectors([written(list(logic.on_batch(events)))], Output(), "")


def ids_of(records: Batch) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where they are."""
    return identity(records.partitions, records.offsets)


EVENTS = [loan(event_id="é1"), loan(event_id="e2", applicant=""), loan(event_id="e3")]


@pytest.mark.parametrize(
    ("text", "schema", "values"),
    [
        (SPEC_TEXT, SCHEMA, [framed(event) for event in EVENTS]),
        (JSON_TEXT, SCHEMA, [json.dumps(event).encode() for event in EVENTS]),
        (SPEC_TEXT, MICROS, [framed(event | {"at": 1000 * event["at"] + 7}, MICROS) for event in EVENTS]),
    ],
    ids=["avro", "json", "microseconds"],
)
def test_what_ingestion_makes_of_an_event_says_what_the_event_says(
    text: str, schema: object, values: list[bytes]
) -> None:
    """Whatever its format, its clock, and whether it is about an entity; one that was changed since is found."""
    events = batch(values)
    vectors = made(text, events, schema)
    assert not vectors.other_keys.any()
    comparison = with_events(vectors, [record_of(text, schema)])
    comparison.add(events, ids_of(events))
    assert vectors.others.tolist() == [Told.SAME] * 3
    swapped = batch([values[1], values[0], values[2]])
    comparison.add(swapped, ids_of(swapped))
    assert vectors.others.tolist() == [Told.OTHER, Told.OTHER, Told.SAME]


def test_two_vectors_of_one_event_are_both_compared() -> None:
    """Each is held to the event; one whose event is not there stays out."""
    events = batch([framed(event) for event in EVENTS])
    vectors = made(SPEC_TEXT, events)
    vectors.inputs[1] = vectors.inputs[0]
    vectors.inputs[2] += 1000
    with_events(vectors, [record_of(SPEC_TEXT)]).add(events, ids_of(events))
    assert vectors.others.tolist() == [Told.SAME, Told.OTHER, Told.NOT_THERE]


@pytest.mark.parametrize(
    "records",
    [[], [record_of(JSON_TEXT)], [record_of(SPEC_TEXT.replace("entity: app", "decoder: mine\nentity: app"))]],
    ids=["no record", "another decoder", "a decoder that is not installed"],
)
def test_vectors_whose_events_cannot_be_read_here_are_not_judged(records: list[PipelineRecord]) -> None:
    """They are told apart from those whose events are not there."""
    events = batch([framed(event) for event in EVENTS])
    vectors = made(SPEC_TEXT, events)
    with_events(vectors, records).add(events, ids_of(events))
    assert vectors.others.tolist() == [Told.UNREADABLE] * 3


def test_events_with_ids_of_a_registry_are_compared_with_what_it_says() -> None:
    """A vector of another event is found; while the registry is away they count as not readable."""
    events = batch([framed(event) for event in EVENTS])
    foreign = batch([framed({**event, "note": "n"}, WIDER, 7) for event in EVENTS])
    records = [record_of(SPEC_TEXT)]
    vectors = made(SPEC_TEXT, events)

    def find(registry: str, schema_id: int, login: str) -> FoundSchema:
        assert (registry, schema_id, login) == ("http://r", 7, "")
        return FoundSchema(json.dumps(WIDER))

    comparison = with_events(vectors, records, ForeignIds("http://r", SCHEMA, find=find))
    comparison.add(foreign, ids_of(events))
    assert vectors.others.tolist() == [Told.SAME] * 3
    with_events(vectors, records, ForeignIds("http://127.0.0.1:1", SCHEMA)).add(foreign, ids_of(events))
    assert vectors.others.tolist() == [Told.UNREADABLE] * 3


def test_an_event_may_be_read_as_any_number_of_the_pipeline_reads_it() -> None:
    """Event id and entity were other fields once: vectors of then are no breach, and those of neither are one."""
    events = batch([framed(event) for event in EVENTS])
    earlier = SPEC_TEXT.replace("entity: applicant", "entity: event_id")
    vectors = made(earlier, events)
    newer = record_of(SPEC_TEXT).model_copy(update={"number": 2})
    with_events(vectors, [record_of(earlier), newer]).add(events, ids_of(events))
    assert vectors.others.tolist() == [Told.SAME] * 3
    with_events(vectors, [newer]).add(events, ids_of(events))
    assert vectors.others.tolist() == [Told.OTHER, Told.SAME, Told.OTHER]


def test_what_ingestion_makes_of_feedback_says_what_the_feedback_says() -> None:
    """With an entity and without; another label, time or revision is found."""
    known = feedback(event_id="e1")
    records = batch([framed_feedback(), framed_feedback(entity=""), framed_feedback()], role="feedback")
    labels = outputs.labels([written(list(serving().on_batch(records)))], Output(), "")
    with_feedback(labels).add(records, ids_of(records))
    assert labels.others.tolist() == [Told.SAME] * 3
    changed = [{"label": "x"}, {"labelled_at": known["labelled_at"] + 1, "entity": ""}, {"revision": 1}]
    others = batch([framed_feedback(**but) for but in changed], role="feedback")
    with_feedback(labels).add(others, ids_of(others))
    assert labels.others.tolist() == [Told.OTHER] * 3
