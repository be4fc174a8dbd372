"""`freshet verify` from real bytes: what is on the topics is what is judged, in memory and on a real Kafka."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pytest

from freshet.avro import Column, Strings
from freshet.avro.control import encode
from freshet.contracts.topic_id import to_bytes, to_text
from freshet.operate.last_answers import last_answered
from freshet.operate.verify.collect import collect
from freshet.operate.verify.evidence import Life
from freshet.operate.verify.judge import Judgement, judge
from freshet.operate.verify.judging import whose
from freshet.operate.verify.signatures import EPOCHS, VERSIONS
from freshet.operate.verify.visible import Patience
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.protocol import Committed, Place, Send, Transaction
from freshet.runtime.clock import ManualClock
from freshet.runtime.reading import everything
from support.breaches import BREACHES, planted
from support.buses import KafkaWorld, MemoryWorld, bus_world, opened, send
from support.evidence import RING, choose, claim, cutover, good, ids, rollout, row_of
from support.hand_written import ROLES, answer, committed_of, encoded, write

__all__ = ["bus_world"]

World = MemoryWorld | KafkaWorld


class Verify(Protocol):
    """Collects and judges what is on the topics by now."""

    def __call__(self, since_ms: int | None = None) -> Judgement: ...


@pytest.fixture
def verify(bus_world: World, request: pytest.FixtureRequest) -> Verify:
    """Makes the topics; collects and judges what is on them by then."""
    names = bus_world.names
    bus_world.make_topics(*ROLES)
    if isinstance(bus_world, MemoryWorld):
        committed = committed_of(bus_world)
    else:
        admin = KafkaAdmin(request.getfixturevalue("kafka"))

        def committed(service: str, role: str) -> Mapping[int, Committed]:
            return admin.committed(names.group(service), names.topic(role))

    def judged(since_ms: int | None = None) -> Judgement:
        patience = Patience(0, ManualClock())
        told = collect(bus_world.bus, names.pipeline, committed, since_ms=since_ms, patience=patience, keys=RING.now)
        return judge(told)

    return judged


def broken(found: Judgement) -> dict[str, tuple[str, ...]]:
    """The checks that fail, each with its examples."""
    return {finding.check: finding.examples for finding in found.findings if not finding.ok}


SIGNED = [name for name, one in BREACHES.items() if {EPOCHS, VERSIONS} & one.found.keys()]
"""Breaches in signatures."""


@pytest.mark.parametrize(
    ("name", "bus_world"),
    [
        *((name, "memory") for name in BREACHES),
        *(pytest.param(name, "kafka", marks=pytest.mark.kafka) for name in SIGNED),
    ],
    indirect=["bus_world"],
)
def test_a_breach_in_the_bytes_is_found_as_in_the_columns(name: str, bus_world: World, verify: Verify) -> None:
    """Each breach, written down record by record, makes the same checks fail with the same examples.

    Those in signatures on a real Kafka too: it must give back every byte of what was signed.
    """
    evidence = planted(name)
    write(evidence, bus_world.bus, bus_world.names)
    found = verify()
    assert broken(found) == BREACHES[name].found
    assert found == judge(evidence)


def test_many_breaches_at_once_are_all_found(bus_world: World, verify: Verify) -> None:
    """Every check is made even where another one failed; on a real Kafka too."""
    names = ["lost event", "lost feedback", "answered twice", "another event named", "wrong version", "metadata behind"]
    names += ["epoch that nobody signed", "version of a release key"]
    evidence = planted(*names)
    write(evidence, bus_world.bus, bus_world.names)
    found = verify()
    assert {finding.check for finding in found.findings if not finding.ok} == {
        check for name in names for check in BREACHES[name].found
    }
    assert found == judge(evidence)


def test_a_good_pipeline_is_found_good_whatever_else_is_on_its_topics(bus_world: World, verify: Verify) -> None:
    """Aborted answers, other lanes, other pipelines, an older topic of the same name: none of it is evidence."""
    bus = bus_world.bus
    write(good(), bus, bus_world.names)
    bus_world.crash(opened(bus), Transaction([send("predictions", b"never visible")]), "offsets_sent")
    opened(bus)  # the next owner of the transactional id aborts what was left open
    strange = cutover(0, 2, 9)
    here = {"pipeline": bus_world.names.pipeline}
    producer = bus.producer()
    for update in (
        here | {"lane": "shadow:2.0.0", "topic_id": bus.topic_id("features")},
        here,
        {"pipeline": "another"},
    ):
        producer.send(Send("cutovers", [b"strange"], [encode(strange.model_copy(update=update))]))
    theirs = rollout(1, "9.9.9").model_copy(update={"pipeline": "another"})
    producer.send(Send("rollouts", [b"another/1"], [encode(theirs)]))
    producer.close()
    found = verify()
    assert found.ok
    assert found == judge(good())


def test_a_pipeline_is_judged_by_what_retention_has_left(bus_world: World, verify: Verify) -> None:
    """Inputs that have expired leave answers behind, and take nothing away from what is still there."""
    write(good(), bus_world.bus, bus_world.names)
    for place, low in ((Place("events", 0), 5), (Place("features", 0), 3), (Place("features", 1), 1)):
        bus_world.truncate(place, low)
    found = verify()
    assert found.ok
    assert found.pending == 0
    looked_at = {finding.check: finding.looked_at for finding in found.findings}
    assert looked_at["no event is lost"] == 6  # one of seven is answered by a vector that is there no more
    assert looked_at["no feature vector is lost"] == 7


def test_one_expired_record_of_a_quiet_partition_hides_no_loss_elsewhere(bus_world: World, verify: Verify) -> None:
    """Retention took a record of predictions partition 1; a vector of partition 0 is lost, and 1/0 cannot be judged."""
    evidence = good()
    lost = row_of(evidence.predictions, 0, 2)
    choose(evidence.predictions, [row for row in range(10) if row != lost])
    write(evidence, bus_world.bus, bus_world.names)
    bus_world.truncate(Place("predictions", 1), 1)
    found = verify()
    assert broken(found) == {"no feature vector is lost": ("0/2",)}
    assert [(one.role, one.count) for one in found.unjudged] == [("features", 1)]


def test_older_offsets_that_were_put_back_whole_are_warned_of(bus_world: World, verify: Verify) -> None:
    """With the texts that were committed with them; the next start would answer two vectors twice."""
    evidence = good()
    evidence.features_read.committed[0], evidence.features_read.metadata[0] = 4, "e=1 f=0"
    evidence.events.committed[1] = 60
    write(evidence, bus_world.bus, bus_world.names)
    found = verify()
    assert broken(found) == {}
    told = [warning for warning in found.warnings if "committed offset" in warning]
    assert ["events/1 lies beyond" in told[0], "features/0 lies below 7" in told[1]] == [True, True]
    assert last_answered(bus_world.bus, "features") == {0: 6, 1: 3}
    assert last_answered(bus_world.bus, "events") == {0: 5, 1: 5}
    assert last_answered(bus_world.bus, "feedback") == {0: 1, 1: 0}


def test_an_answer_to_a_features_topic_that_never_was_is_warned_of(bus_world: World, verify: Verify) -> None:
    """Not so for one that the cut-overs of an earlier life name."""
    evidence = good()
    claim(evidence.predictions, 9, lives=Life.EARLIER)
    write(evidence, bus_world.bus, bus_world.names)
    assert ["no cut-over" in warning for warning in verify().warnings].count(True) == 1
    theirs = cutover(0, 0, 1).model_copy(
        update={"pipeline": bus_world.names.pipeline, "topic_id": to_text(bytes(range(16)))}
    )
    bus_world.bus.producer().send(Send("cutovers", [b"theirs"], [encode(theirs)]))
    assert not any("no cut-over" in warning for warning in verify().warnings)


def test_foreign_records_are_found_and_the_rest_is_judged(bus_world: World, verify: Verify) -> None:
    """Bytes of somebody else on each output, and a dead letter that does not say whose it is."""
    write(good(), bus_world.bus, bus_world.names)
    for role in ("labels", "predictions"):
        bus_world.bus.producer().send(send(role, b"garbage"))
    bus_world.bus.producer().send(Send("dead-letters", [None], [b"?"], [0], [[("freshet.reason", b"input_x")]]))
    found = verify()
    assert broken(found) == {
        "only Freshet writes its outputs": ("predictions 0/6", "labels 0/1", "dead-letters 0/2"),
    }
    bus_world.bus.producer().send(send("features", b"garbage"))
    found = verify()
    assert "features 0/7" in broken(found)["only Freshet writes its outputs"]
    assert found.pending == 1  # inference will dead-letter it


def test_an_answer_to_a_transactions_marker_is_found(bus_world: World, verify: Verify) -> None:
    """A marker takes an offset, and is no record: whoever answers it has counted offsets instead of reading."""
    write(good(), bus_world.bus, bus_world.names)
    opened(bus_world.bus).commit(Transaction([send("feedback", b"in a transaction")]))
    for offset in (2, 3):
        label: dict[str, Column] = {
            "source_partition": np.zeros(1, np.int32),
            "source_offset": np.array([offset]),
            "source_topic": Strings.repeat(to_bytes(bus_world.bus.topic_id("feedback")), 1),
        }
        bus_world.bus.producer().send(Send("labels", [b"x"], encoded("Label", 1, label)))
    assert broken(verify()) == {"no answer without its feedback record": ("0/3",)}


def test_what_a_producers_open_transaction_hides_is_counted_and_not_judged(bus_world: World, verify: Verify) -> None:
    """Nobody can have read it yet. It is not Freshet's transaction, so it is no breach either."""
    write(good(), bus_world.bus, bus_world.names)
    bus_world.crash(opened(bus_world.bus), Transaction([send("events", b"one", b"two")]), "produced")
    found = verify()
    assert broken(found) == {}
    assert [(one.role, one.count, one.why) for one in found.unjudged] == [
        ("events", 2, "offsets behind an open transaction of a producer")
    ]


def test_an_open_transaction_is_waited_for_and_then_found(bus_world: World, verify: Verify) -> None:
    """What lies behind it is invisible to everybody; nothing of it is called lost."""
    write(good(), bus_world.bus, bus_world.names)
    bus_world.crash(opened(bus_world.bus), Transaction([send("predictions", b"never to be seen")]), "produced")
    found = verify()
    assert list(broken(found)) == ["no transaction is open for 0 s"]
    ((example,),) = broken(found).values()
    assert example.startswith("predictions/0: offsets 6 to ")
    opened(bus_world.bus)
    assert broken(verify()) == {}


def test_events_whose_vectors_went_with_an_earlier_features_topic_are_not_lost(
    bus_world: World, verify: Verify
) -> None:
    """Ten predictions name their events; the eleventh vector ended as a dead letter, which does not: not judged."""
    write(good(), bus_world.bus, bus_world.names)
    bus_world.delete_topic("features")
    bus_world.make_topics("features")
    found = verify()
    assert broken(found) == {}
    assert [(one.role, one.count) for one in found.unjudged] == [
        ("events", 1),
        ("predictions", 10),
        ("dead-letters", 1),
    ]
    assert (found.verdict, found.judged, found.inputs["features"]) == ("kept", 11 + 3, 0)


def test_an_event_lost_after_features_were_made_anew_is_found(bus_world: World, verify: Verify) -> None:
    """Behind the first event that is answered in the new topic nothing is excused."""
    evidence = good()
    write(evidence, bus_world.bus, bus_world.names)
    bus_world.delete_topic("features")
    bus_world.make_topics("features")
    producer = bus_world.bus.producer()
    producer.send(Send("events", [b"k"] * 3, [b"whatever"] * 3, [0, 0, 0]))
    answer(bus_world.bus, evidence.features.take(np.array([0, 1])), sources=ids((0, 6), (0, 8)))
    assert broken(verify()) == {"no event is lost": ("0/7",)}


def test_events_made_anew_are_not_answered_by_what_answered_the_old_ones(bus_world: World, verify: Verify) -> None:
    """The old answers are counted; the new events are on their way, and the vectors are judged as ever."""
    write(good(), bus_world.bus, bus_world.names)
    bus_world.delete_topic("events")
    bus_world.make_topics("events")
    bus_world.bus.producer().send(Send("events", [b"k"], [b"whatever"], [0]))
    found = verify()
    assert broken(found) == {}
    assert [(one.role, one.count) for one in found.unjudged] == [("features", 11), ("dead-letters", 1)]
    assert (found.verdict, found.pending, found.inputs["events"]) == ("pending", 1, 1)


def test_predictions_made_anew_leave_vectors_lost_and_it_is_said_why(bus_world: World, verify: Verify) -> None:
    """Nobody can read the old answers any more; the cut-overs that were written with them tell what happened."""
    write(good(), bus_world.bus, bus_world.names)
    bus_world.delete_topic("predictions")
    bus_world.make_topics("predictions")
    found = verify()
    assert list(broken(found)) == ["no feature vector is lost"]
    assert "the predictions topic was emptied or made anew" in found.warnings[0]


def test_a_committed_offset_of_an_earlier_life_is_said_and_counts_for_nothing(bus_world: World, verify: Verify) -> None:
    """Nothing below it counts as committed past."""
    evidence = good()
    choose(evidence.labels, [0])
    evidence.feedback.committed = {0: 2}
    evidence.feedback.of_earlier_life = {1: 1}
    write(evidence, bus_world.bus, bus_world.names)
    found = verify()
    assert broken(found) == {}
    assert found.pending == 1
    assert "The committed offset 1 of feedback/1 is of an earlier life" in found.warnings[0]


def test_a_range_is_judged_by_the_time_of_its_inputs(verify: Verify, bus_world: World) -> None:
    """What came before is neither lost nor answered out of nowhere; what comes later is judged as ever."""
    evidence = planted("lost vector")
    write(evidence, bus_world.bus, bus_world.names)
    times_ms = [batch.timestamps_ms for batch in everything(bus_world.bus, "features")]
    last_ms = max(int(times.max()) for times in times_ms)
    assert broken(verify(since_ms=last_ms + 1)) == {}
    assert verify(since_ms=last_ms + 1).verdict != "kept"
    assert broken(verify(since_ms=last_ms - 3_600_000)) == {"no feature vector is lost": ("0/2",)}


@pytest.mark.kafka
def test_an_open_transaction_is_named(kafka: str, namespace: str) -> None:
    """Whoever reads the verdict must know whose it is, on which topic and partition."""
    world = KafkaWorld(kafka, namespace)
    world.make_topics("predictions")
    world.crash(opened(world.bus), Transaction([send("predictions", b"never to be seen")]), "produced")
    (sentence,) = whose(KafkaAdmin(kafka), [world.names.topic("predictions")])
    assert f"{world.names.topic('predictions')}/0" in sentence
    assert world.names.transactional_id("inference", "0") in sentence
    opened(world.bus)
    world.close()
