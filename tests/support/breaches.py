"""Every kind of breach that `freshet verify` must find, planted in what `evidence.good` describes."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from freshet.cli.verify.evidence import Evidence, Life
from freshet.cli.verify.places import NOWHERE, hashed
from support.evidence import (
    NEW,
    OLD,
    answered_by,
    at,
    choose,
    claim,
    counted,
    cutover,
    good,
    ids,
    letters,
    rollout,
    row_of,
    swap,
)
from support.inference import manifest

_EPOCHS: Final = "each answer's epoch is what the cut-overs say"
_VERSIONS: Final = "each answer's version is what its epoch names"
_ABOUT: Final = "predictions carry their features' event id and entity"
_LIVE: Final = "each cut-over's epoch went live"
_METADATA: Final = "committed metadata is the last cut-over"
_HISTORY: Final = "positions in history only go forward"


def _digest(of: str) -> str:
    return manifest(of).digest[:12]


class Breach(NamedTuple):
    """What plants it, and the checks that must fail, each with its examples."""

    plant: Callable[[Evidence], None]
    found: Mapping[str, tuple[str, ...]]


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
    predictions.event_ids = features.event_ids[np.searchsorted(features.ids, predictions.inputs)]


def _another_event(evidence: Evidence) -> None:
    """The vector was made from event 0/0, its prediction says 0/1."""
    claim(evidence.predictions, row_of(evidence.predictions, 0, 0), sources=at(0, 1))


def _epoch_against_the_cutovers(evidence: Evidence) -> None:
    """Answered under epoch 1, by its version, after the cut-over to 2: a batch that straddled it."""
    claim(evidence.predictions, row_of(evidence.predictions, 0, 5), epochs=1)
    answered_by(evidence.predictions, row_of(evidence.predictions, 0, 5), OLD)


def _no_cutover(evidence: Evidence) -> None:
    """A whole partition answered, and no record of why by whom."""
    evidence.history.cutovers = [cut for cut in evidence.history.cutovers if cut.partition != 1]


def _version_of_another_epoch(evidence: Evidence) -> None:
    answered_by(evidence.predictions, row_of(evidence.predictions, 0, 5), OLD)


def _epoch_that_never_went_live(evidence: Evidence) -> None:
    """An aborted epoch explains nothing."""
    first, second = evidence.history.rollouts
    evidence.history.rollouts = [first, second.model_copy(update={"phase": "aborted"})]


def _champion_at_the_fallback(evidence: Evidence) -> None:
    """At (2, 1) the epoch's understudy must answer."""
    answered_by(evidence.predictions, row_of(evidence.predictions, 1, 3), NEW)


def _history_goes_back(evidence: Evidence) -> None:
    """From epoch 2 to epoch 1, with an answer that agrees: it is explained, and still it may not be."""
    evidence.history.cutovers = [*evidence.history.cutovers, cutover(0, 5, 1)]
    claim(evidence.predictions, row_of(evidence.predictions, 0, 5), epochs=1)
    answered_by(evidence.predictions, row_of(evidence.predictions, 0, 5), OLD)


def _return_from_the_fallback(evidence: Evidence) -> None:
    """From (2, 1) to (2, 0): only a new epoch ends a fallback."""
    evidence.history.cutovers = [
        cut for cut in evidence.history.cutovers if (cut.partition, cut.first_offset) != (1, 1)
    ]
    evidence.history.cutovers += [cutover(1, 1, 2, 1), cutover(1, 2, 2, 0)]
    claim(evidence.predictions, row_of(evidence.predictions, 1, 1), fallbacks=1)
    answered_by(evidence.predictions, row_of(evidence.predictions, 1, 1), OLD)


def _two_cutovers_at_one_offset(evidence: Evidence) -> None:
    """It cannot be the first of two positions: two owners decided for it."""
    evidence.history.cutovers = [cutover(0, 4, 1, 1), *evidence.history.cutovers]


def _lost_without_offsets(evidence: Evidence) -> None:
    """The group's offsets are gone; a gap below later answers will never be filled all the same."""
    _lost_vector(evidence)
    evidence.features_read.committed, evidence.features_read.metadata = {}, {}


def _label_of_no_partition(evidence: Evidence) -> None:
    """A label for a partition that feedback does not have."""
    choose(evidence.labels, [0, 1, 1])
    claim(evidence.labels, 2, inputs=at(99, 5))


def _label_of_nowhere(evidence: Evidence) -> None:
    """A label that names a negative offset."""
    choose(evidence.labels, [0, 1, 1])
    claim(evidence.labels, 2, inputs=NOWHERE)


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


def _two_contents(evidence: Evidence) -> None:
    """Two registries issued epoch 2; the answers agree with the later."""
    first, second = evidence.history.rollouts
    evidence.history.rollouts = [first, rollout(2, OLD), second]


def _live_and_aborted(evidence: Evidence) -> None:
    """The answers agree with the live one."""
    first, second = evidence.history.rollouts
    evidence.history.rollouts = [first, second, second.model_copy(update={"phase": "aborted"})]


def _two_artifacts(evidence: Evidence) -> None:
    """Two registries numbered two models alike."""
    digests = [manifest(made_from).digest for made_from in (OLD, "another")]
    evidence.history.artifacts = {**evidence.history.artifacts, OLD: digests}


def _epoch_never_issued(evidence: Evidence) -> None:
    """Over a dead letter alone: no answer shows it."""
    evidence.history.cutovers = [*evidence.history.cutovers, cutover(0, 6, 3)]
    evidence.features_read.metadata[0] = "e=3 f=0"


def _metadata(text: str) -> Callable[[Evidence], None]:
    """The next owner of the partition would go on at another position, or cannot know any."""

    def plant(evidence: Evidence) -> None:
        evidence.features_read.metadata[0] = text

    return plant


def _metadata_found(text: str) -> dict[str, tuple[str, ...]]:
    return {_METADATA: (f"0: metadata {text!r}, cut-overs 'e=2 f=0'",)}


BREACHES: Final[dict[str, Breach]] = {
    "lost event": Breach(_lost_event, {"no event is lost": ("0/6",)}),
    "lost feedback": Breach(_lost_feedback, {"no feedback record is lost": ("1/0",)}),
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
    "two contents of an epoch": Breach(_two_contents, {"an epoch has one content": ("epoch 2: 1.0.0 or 2.0.0",)}),
    "live and aborted": Breach(
        _live_and_aborted, {"an epoch is live or aborted, never both": ("epoch 2 is live and aborted",)}
    ),
    "two artifacts of a version": Breach(
        _two_artifacts, {"a version has one artifact": (f"1.0.0: {_digest(OLD)}, {_digest('another')}",)}
    ),
    "epoch never issued": Breach(_epoch_never_issued, {_LIVE: ("0/6: epoch 3 was never issued",)}),
    "phantom answer": Breach(_phantom_answer, {"no answer without its feature vector": ("1/9",)}),
    "predictions out of order": Breach(
        _predictions_out_of_order, {"predictions keep each entity's order": ("0/1", "0/4")}
    ),
    "features out of order": Breach(_features_out_of_order, {"features keep each entity's order": ("0/4",)}),
    "another event named": Breach(_another_event, {"predictions name their features' event": ("0/0",)}),
    "wrong epoch": Breach(_epoch_against_the_cutovers, {_EPOCHS: ("0/5",)}),
    "no cut-over": Breach(
        _no_cutover,
        {_EPOCHS: ("1/0", "1/1", "1/2", "1/3"), _METADATA: ("1: metadata 'e=2 f=1', cut-overs 'e=0 f=0'",)},
    ),
    "wrong version": Breach(_version_of_another_epoch, {_VERSIONS: ("0/5",)}),
    "epoch never live": Breach(
        _epoch_that_never_went_live,
        {
            _VERSIONS: ("0/4", "0/5", "1/1", "1/2", "1/3"),
            _LIVE: tuple(f"{place}: epoch 2 was only aborted" for place in ("0/4", "1/1", "1/3")),
        },
    ),
    "wrong understudy": Breach(_champion_at_the_fallback, {_VERSIONS: ("1/3",)}),
    "history goes back": Breach(_history_goes_back, {_HISTORY: ("0/5: (2, 0) → (1, 0)",)}),
    "return from the fallback": Breach(_return_from_the_fallback, {_HISTORY: ("1/2: (2, 1) → (2, 0)",)}),
    "two cut-overs at one offset": Breach(_two_cutovers_at_one_offset, {_HISTORY: ("0/4: (1, 1) → (2, 0)",)}),
    "metadata behind": Breach(_metadata("e=1 f=0"), _metadata_found("e=1 f=0")),
    "metadata ahead": Breach(_metadata("e=3 f=0"), _metadata_found("e=3 f=0")),
    "metadata at the fallback": Breach(_metadata("e=2 f=1"), _metadata_found("e=2 f=1")),
    "metadata lost": Breach(_metadata(""), _metadata_found("")),
}
