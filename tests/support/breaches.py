"""Every kind of breach that `freshet verify` must find, planted in what `evidence.good` describes."""

from typing import Final

import numpy as np

from freshet.contracts.topic_id import to_text
from freshet.operate.verify.evidence import Evidence, Life, Told
from freshet.operate.verify.places import NOWHERE, hashed
from support.breaches_of_history import HISTORY_BREACHES, Breach
from support.evidence import at, choose, claim, counted, good, ids, letters, row_of, swap

_ABOUT: Final = "predictions carry their features' event id, entity and time"
_EVENT: Final = "features carry their event's id, entity and time"
_VALUES: Final = "features have the values of their specification"
_KEYS: Final = "features, labels and predictions have their entity as key"


def planted(*names: str) -> Evidence:
    """A good pipeline with these breaches in it."""
    evidence = good()
    for name in names:
        BREACHES[name].plant(evidence)
    return counted(evidence)


def _lost_event(evidence: Evidence) -> None:
    """Committed past, yet neither a vector nor a dead letter."""
    evidence.events.ids = np.sort(np.append(evidence.events.ids, at(0, 6)))
    evidence.events.times_ms = np.append(evidence.events.times_ms, 20_000)
    evidence.events.committed[0] = 7


def _lost_feedback(evidence: Evidence) -> None:
    choose(evidence.labels, [0])


def _lost_vector(evidence: Evidence) -> None:
    lost = row_of(evidence.predictions, 0, 2)
    choose(evidence.predictions, [row for row in range(10) if row != lost])


def _lost_tail(evidence: Evidence) -> None:
    """The offsets were committed and the answers were not: the two halves of a transaction that a broker tore."""
    tail = [row_of(evidence.predictions, 1, offset) for offset in (2, 3)]
    choose(evidence.predictions, [row for row in range(10) if row not in tail])


def _lost_letter(evidence: Evidence) -> None:
    """The event that was set aside is nowhere."""
    evidence.letters = {**evidence.letters, "events": letters(inputs=(1, 5))}


def _answered_on_two_partitions(evidence: Evidence) -> None:
    """The second answer lies where nobody looks for it."""
    choose(evidence.predictions, [*range(10), row_of(evidence.predictions, 0, 2)])
    claim(evidence.predictions, 10, ids=at(1, 4))


def _vector_answered_twice(evidence: Evidence) -> None:
    """What an ordinary rebalance does to a naive loop."""
    choose(evidence.predictions, [*range(10), row_of(evidence.predictions, 1, 3)])


def _event_dead_lettered_twice(evidence: Evidence) -> None:
    evidence.letters = {**evidence.letters, "events": letters((1, 0), (1, 1), inputs=(1, 5))}


def _answer_and_dead_letter(evidence: Evidence) -> None:
    """A vector must end as one or the other."""
    both = letters((0, 1), (0, 2), inputs=(0, 6))
    both.inputs = ids((0, 6), (0, 3))
    evidence.letters = {**evidence.letters, "features": both}


def _phantom_answer(evidence: Evidence) -> None:
    """A prediction for a vector that nobody wrote."""
    choose(evidence.predictions, [*range(10), row_of(evidence.predictions, 1, 3)])
    claim(evidence.predictions, 10, inputs=at(1, 9))


def _predictions_out_of_order(evidence: Evidence) -> None:
    """Two of entity a."""
    swap(evidence.predictions, row_of(evidence.predictions, 0, 0), row_of(evidence.predictions, 0, 4))


def _features_out_of_order(evidence: Evidence) -> None:
    """Two of entity a, made from events of one partition; the predictions name them as they are."""
    features, predictions = evidence.features, evidence.predictions
    swap(features, row_of(features, 0, 0), row_of(features, 0, 3))
    predictions.sources = features.inputs[np.searchsorted(features.ids, predictions.inputs)]
    predictions.event_times_ms = features.event_times_ms[np.searchsorted(features.ids, predictions.inputs)]
    predictions.event_ids = features.event_ids[np.searchsorted(features.ids, predictions.inputs)]


def _another_event(evidence: Evidence) -> None:
    """The vector was made from event 0/0, its prediction says 0/1."""
    claim(evidence.predictions, row_of(evidence.predictions, 0, 0), sources=at(0, 1))


def _lost_without_offsets(evidence: Evidence) -> None:
    """The group's offsets are gone; a gap below later answers will never be filled all the same."""
    _lost_vector(evidence)
    evidence.features_read.committed, evidence.features_read.metadata = {}, {}


def _label_of_no_partition(evidence: Evidence) -> None:
    """A label for a partition that feedback does not have."""
    choose(evidence.labels, [0, 1, 1])
    claim(evidence.labels, 2, inputs=at(99, 5), others=Told.NOT_THERE)


def _label_of_nowhere(evidence: Evidence) -> None:
    """A label that names a negative offset."""
    choose(evidence.labels, [0, 1, 1])
    claim(evidence.labels, 2, inputs=NOWHERE, others=Told.NOT_THERE)


def _another_partition(evidence: Evidence) -> None:
    """The last prediction of partition 0 lies behind those of partition 1."""
    last = row_of(evidence.predictions, 0, 5)
    choose(evidence.predictions, [*(row for row in range(10) if row != last), last])
    claim(evidence.predictions, 9, ids=at(1, 4))


def _another_id(evidence: Evidence) -> None:
    claim(evidence.predictions, row_of(evidence.predictions, 0, 2), event_ids=hashed("nonsense"))


def _another_entity(evidence: Evidence) -> None:
    claim(evidence.predictions, row_of(evidence.predictions, 1, 2), entities=hashed("somebody else"))


def _another_topic(evidence: Evidence) -> None:
    """The same place, but in an events topic that is there no more."""
    claim(evidence.predictions, row_of(evidence.predictions, 1, 2), topics=hashed("another life"))


def _label_of_another_row(evidence: Evidence) -> None:
    claim(evidence.predictions, row_of(evidence.predictions, 0, 1), labels=hashed("nonsense"))


def _other_bytes(evidence: Evidence) -> None:
    claim(evidence.letters["feedback"], 0, others=1)


def _earlier_life(evidence: Evidence) -> None:
    """The answer to 0/2 is to a record of a topic that was deleted since: it answers nothing that is there now."""
    claim(evidence.predictions, row_of(evidence.predictions, 0, 2), lives=Life.EARLIER)
    evidence.predictions.other_lives = {to_text(bytes(range(16))): 1}


def _another_time(evidence: Evidence) -> None:
    claim(evidence.predictions, row_of(evidence.predictions, 0, 2), event_times_ms=5)


def _other_keys(evidence: Evidence) -> None:
    """Whoever reads by entity never sees them."""
    claim(evidence.features, row_of(evidence.features, 1, 1), other_keys=True)
    claim(evidence.labels, 1, other_keys=True)
    claim(evidence.predictions, row_of(evidence.predictions, 0, 2), other_keys=True)


def _another_arm(evidence: Evidence) -> None:
    claim(evidence.predictions, row_of(evidence.predictions, 1, 2), arms=9999)


def _not_a_number(evidence: Evidence) -> None:
    claim(evidence.predictions, row_of(evidence.predictions, 1, 2), not_finite=True)


def _vector_of_nobodys_event(evidence: Evidence) -> None:
    """The prediction agrees with its vector: both say something that the event does not."""
    claim(evidence.features, row_of(evidence.features, 1, 1), others=Told.OTHER)


def _another_label(evidence: Evidence) -> None:
    claim(evidence.labels, 1, others=Told.OTHER)


def _unknown_specification(evidence: Evidence) -> None:
    claim(evidence.features, row_of(evidence.features, 1, 1), spec_versions=99)


def _missing_values(evidence: Evidence) -> None:
    claim(evidence.features, row_of(evidence.features, 1, 1), widths=0)


BREACHES: Final[dict[str, Breach]] = {
    "lost event": Breach(_lost_event, {"no event is lost": ("0/6",)}),
    "lost feedback": Breach(_lost_feedback, {"no feedback record is lost": ("1/0",)}),
    "lost dead letter": Breach(_lost_letter, {"no event is lost": ("1/5",)}),
    "lost tail": Breach(_lost_tail, {"no feature vector is lost": ("1/2", "1/3")}),
    "answered on two partitions": Breach(
        _answered_on_two_partitions,
        {"no feature vector is answered twice": ("0/2",), "predictions lie on their features' partition": ("1/4",)},
    ),
    "lost vector": Breach(_lost_vector, {"no feature vector is lost": ("0/2",)}),
    "answered twice": Breach(_vector_answered_twice, {"no feature vector is answered twice": ("1/3",)}),
    "dead-lettered twice": Breach(_event_dead_lettered_twice, {"no event is answered twice": ("1/5",)}),
    "answer and dead letter": Breach(_answer_and_dead_letter, {"no feature vector is answered twice": ("0/3",)}),
    "lost without offsets": Breach(_lost_without_offsets, {"no feature vector is lost": ("0/2",)}),
    "no such partition": Breach(_label_of_no_partition, {"no answer without its feedback record": ("99/5",)}),
    "no such offset": Breach(_label_of_nowhere, {"no answer without its feedback record": ("nowhere",)}),
    "another partition": Breach(_another_partition, {"predictions lie on their features' partition": ("1/4",)}),
    "another event id": Breach(_another_id, {_ABOUT: ("0/2",)}),
    "another entity": Breach(_another_entity, {_ABOUT: ("1/2",)}),
    "another events topic": Breach(_another_topic, {"predictions name their features' event": ("1/2",)}),
    "label of another row": Breach(
        _label_of_another_row, {"predictions' labels are the classes of their highest scores": ("0/1",)}
    ),
    "other bytes in a dead letter": Breach(_other_bytes, {"dead letters hold the bytes of their records": ("0/0",)}),
    "answer of an earlier life": Breach(_earlier_life, {"no feature vector is lost": ("0/2",)}),
    "another event time": Breach(_another_time, {_ABOUT: ("0/2",)}),
    "other keys": Breach(_other_keys, {_KEYS: ("features 1/1", "labels 1/0", "predictions 0/2")}),
    "another arm": Breach(_another_arm, {"predictions' arm is 0": ("1/2",)}),
    "not a number": Breach(_not_a_number, {"predictions' scores are finite numbers": ("1/2",)}),
    "vector of nobody's event": Breach(_vector_of_nobodys_event, {_EVENT: ("1/1",)}),
    "another label than the feedback's": Breach(_another_label, {"labels say what their feedback says": ("1/0",)}),
    "unknown specification": Breach(_unknown_specification, {_VALUES: ("1/1",)}),
    "missing values": Breach(_missing_values, {_VALUES: ("1/1",)}),
    "phantom answer": Breach(_phantom_answer, {"no answer without its feature vector": ("1/9",)}),
    "predictions out of order": Breach(
        _predictions_out_of_order, {"predictions keep each entity's order": ("0/1", "0/4")}
    ),
    "features out of order": Breach(_features_out_of_order, {"features keep each entity's order": ("0/4",)}),
    "another event named": Breach(_another_event, {"predictions name their features' event": ("0/0",)}),
    **HISTORY_BREACHES,
}
