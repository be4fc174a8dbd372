"""The judge finds every kind of breach, by the check that is meant for it, and nothing where nothing is wrong."""

import numpy as np
import pytest
from support.evidence import OLD, at, choose, cutover, good, ids, row_of

from freshet.cli.verify.evidence import Evidence, Predictions
from freshet.cli.verify.judge import judge

EPOCHS = "each answer's epoch is what the cut-overs say"
VERSIONS = "each answer's version is what its epoch names"
METADATA = "committed metadata is the last cut-over"
HISTORY = "positions in history only go forward"


def broken(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """The checks that fail, each with its examples."""
    judgement = judge(evidence)
    assert judgement.ok is not any(finding.breaches for finding in judgement.findings)
    return {finding.check: finding.examples for finding in judgement.findings if not finding.ok}


def values(predictions: Predictions, row: int, *, epoch: int, version: str) -> None:
    """Let one prediction claim another epoch and version."""
    predictions.epochs = predictions.epochs.copy()
    predictions.epochs[row] = epoch
    predictions.versions = [version if at == row else said for at, said in enumerate(predictions.versions)]


def test_a_good_pipeline_is_found_good_and_every_check_has_looked_at_something() -> None:
    """No breach, nothing pending; a check that looks at nothing would keep every promise."""
    judgement = judge(good())
    assert judgement.ok
    assert (judgement.answered, judgement.dead, judgement.pending) == (10, 3, 0)
    assert all(finding.looked_at for finding in judgement.findings)


def test_an_empty_pipeline_is_found_good() -> None:
    """Before the first event there is nothing to break."""
    evidence = good()
    for inputs in (evidence.events, evidence.feedback, evidence.features_read):
        inputs.ids, inputs.committed, inputs.metadata = ids(), {}, {}
    for answers in (evidence.features, evidence.labels, evidence.predictions):
        choose(answers, [])
    evidence.dead, evidence.cutovers, evidence.rollouts = {}, [], []
    assert broken(evidence) == {}


# P1: every input ends once


def test_a_lost_event() -> None:
    """Committed past, yet neither a vector nor a dead letter."""
    evidence = good()
    evidence.events.ids = np.append(evidence.events.ids, at(0, 6))
    evidence.events.committed[0] = 7
    assert broken(evidence) == {"no event is lost": ("0/6",)}


def test_a_lost_feedback_record() -> None:
    """The same for feedback."""
    evidence = good()
    choose(evidence.labels, [0])
    assert broken(evidence) == {"no feedback record is lost": ("1/0",)}


def test_a_lost_feature_vector() -> None:
    """Committed past, yet neither a prediction nor a dead letter."""
    evidence = good()
    lost = row_of(evidence.predictions, 0, 2)
    choose(evidence.predictions, [row for row in range(10) if row != lost])
    assert broken(evidence) == {"no feature vector is lost": ("0/2",)}


def test_a_vector_answered_twice() -> None:
    """The same prediction on the topic again: what an ordinary rebalance does to a naive loop."""
    evidence = good()
    row = row_of(evidence.predictions, 1, 3)
    choose(evidence.predictions, [*range(10), row])
    evidence.predictions.ids[-1] = at(1, 4)
    assert broken(evidence) == {"no feature vector is answered twice": ("1/3",)}


def test_an_event_dead_lettered_twice() -> None:
    """Two dead letters for one event are one too many."""
    evidence = good()
    evidence.dead = {**evidence.dead, "events": ids((1, 5), (1, 5))}
    assert broken(evidence) == {"no event is answered twice": ("1/5",)}


def test_an_answer_and_a_dead_letter_for_one_vector() -> None:
    """It must end as one or the other."""
    evidence = good()
    evidence.dead = {**evidence.dead, "features": ids((0, 6), (0, 3))}
    assert broken(evidence) == {"no feature vector is answered twice": ("0/3",)}


def test_a_phantom_answer() -> None:
    """A prediction for a vector that nobody wrote."""
    evidence = good()
    row = row_of(evidence.predictions, 1, 3)
    choose(evidence.predictions, [*range(10), row])
    evidence.predictions.ids[-1], evidence.predictions.inputs[-1] = at(1, 4), at(1, 9)
    assert broken(evidence) == {"no answer without its feature vector": ("1/9",)}


@pytest.mark.parametrize("topic", ["features", "predictions"])
def test_an_entitys_order_is_broken(topic: str) -> None:
    """Two records of one entity and one input partition, the wrong way round."""
    evidence = good()
    answers = evidence.features if topic == "features" else evidence.predictions
    # both of entity a; as features, both of events partition 0
    early, late = (answers.ids == at(0, 0)).argmax(), (answers.ids == at(0, 4)).argmax()
    ids_before = answers.ids.copy()
    rows = np.arange(len(answers.ids))
    rows[[early, late]] = late, early
    choose(answers, rows.tolist())
    answers.ids = ids_before
    if topic == "features":  # what follows from it is as it should be
        evidence.predictions.sources = answers.inputs[: len(evidence.predictions.ids)]
        evidence.predictions.sources = answers.inputs[np.searchsorted(answers.ids, evidence.predictions.inputs)]
    assert list(broken(evidence)) == [f"{topic} keep each entity's order"]


def test_other_entities_may_overtake() -> None:
    """Order is promised for each entity, not for a whole partition."""
    evidence = good()
    rows = list(range(10))
    first, second = row_of(evidence.predictions, 0, 1), row_of(evidence.predictions, 0, 2)  # of a and of c
    rows[first], rows[second] = second, first
    places = evidence.predictions.ids.copy()
    choose(evidence.predictions, rows)
    evidence.predictions.ids = places
    assert evidence.predictions.entities[first] != evidence.predictions.entities[second]
    assert broken(evidence) == {}


def test_a_prediction_that_names_another_event() -> None:
    """Its vector was made from event 0/0, it says 0/1."""
    evidence = good()
    row = row_of(evidence.predictions, 0, 0)
    evidence.predictions.sources = evidence.predictions.sources.copy()
    evidence.predictions.sources[row] = at(0, 1)
    assert broken(evidence) == {"predictions name their features' event": ("0/0",)}


# P2: the version is a function of the place in the log


def test_an_epoch_that_the_cutovers_do_not_say() -> None:
    """Answered under epoch 1 (by epoch 1's version) after the cut-over to 2: a batch that straddled it."""
    evidence = good()
    values(evidence.predictions, row_of(evidence.predictions, 0, 5), epoch=1, version=OLD)
    assert broken(evidence) == {EPOCHS: ("0/5",)}


def test_no_cutover_at_all() -> None:
    """A whole partition answered, and no record of why by whom."""
    evidence = good()
    evidence.cutovers = [cut for cut in evidence.cutovers if cut.partition != 1]
    assert broken(evidence) == {
        EPOCHS: ("1/0", "1/1", "1/2", "1/3"),
        METADATA: ("1: metadata 'e=2 f=1', cut-overs 'e=0 f=0'",),
    }


def test_a_version_that_its_epoch_does_not_name() -> None:
    """Epoch and cut-overs agree, but another version answered."""
    evidence = good()
    values(evidence.predictions, row_of(evidence.predictions, 0, 5), epoch=2, version=OLD)
    assert broken(evidence) == {VERSIONS: ("0/5",)}


def test_an_epoch_that_never_went_live() -> None:
    """An aborted epoch explains nothing."""
    evidence = good()
    evidence.rollouts = [evidence.rollouts[0], evidence.rollouts[1].model_copy(update={"phase": "aborted"})]
    assert list(broken(evidence)) == [VERSIONS]


def test_a_wrong_understudy_at_the_fallback() -> None:
    """At (2, 1) the epoch's understudy must answer, not its champion."""
    evidence = good()
    values(evidence.predictions, row_of(evidence.predictions, 1, 3), epoch=2, version="2.0.0")
    assert broken(evidence) == {VERSIONS: ("1/3",)}


def test_history_that_goes_back() -> None:
    """From epoch 2 back to epoch 1, with answers that agree: each is explained, and still it may not be."""
    evidence = good()
    evidence.cutovers = [*evidence.cutovers, cutover(0, 5, 1)]
    values(evidence.predictions, row_of(evidence.predictions, 0, 5), epoch=1, version=OLD)
    assert broken(evidence) == {HISTORY: ("0/5: (2, 0) → (1, 0)",)}


def test_a_return_from_the_fallback() -> None:
    """From (2, 1) back to (2, 0): only a new epoch may end a fallback."""
    evidence = good()
    evidence.cutovers = [cut for cut in evidence.cutovers if (cut.partition, cut.first_offset) != (1, 1)]
    evidence.cutovers += [cutover(1, 1, 2, 1), cutover(1, 2, 2, 0)]
    row = row_of(evidence.predictions, 1, 1)
    values(evidence.predictions, row, epoch=2, version=OLD)
    evidence.predictions.fallbacks = evidence.predictions.fallbacks.copy()
    evidence.predictions.fallbacks[row] = 1
    assert broken(evidence) == {HISTORY: ("1/2: (2, 1) → (2, 0)",)}


def test_two_cutovers_at_the_same_offset() -> None:
    """One offset cannot be the first of two positions: two owners decided for it."""
    evidence = good()
    evidence.cutovers = [cutover(0, 4, 1, 1), *evidence.cutovers]
    assert broken(evidence) == {HISTORY: ("0/4: (1, 1) → (2, 0)",)}


@pytest.mark.parametrize("metadata", ["e=1 f=0", "e=2 f=1", "e=3 f=0", ""])
def test_committed_metadata_that_is_not_the_last_cutover(metadata: str) -> None:
    """The next owner of the partition would go on at another position, or cannot know any."""
    evidence = good()
    evidence.features_read.metadata[0] = metadata
    assert broken(evidence) == {METADATA: (f"0: metadata {metadata!r}, cut-overs 'e=2 f=0'",)}


# What is no breach


def test_inputs_under_way_are_pending_and_no_breach() -> None:
    """An event and a vector that their groups have not committed past, one on a partition without any commit."""
    evidence = good()
    evidence.events.ids = np.append(evidence.events.ids, ids((0, 6), (2, 0)))
    evidence.features_read.ids = np.append(evidence.features_read.ids, ids((1, 4)))
    judgement = judge(evidence)
    assert judgement.ok
    assert judgement.pending == 3


def test_answers_ahead_of_the_committed_offsets_are_no_breach() -> None:
    """Offsets are read first, so a running pipeline has answered, and cut over, beyond them."""
    evidence = good()
    evidence.features_read.committed, evidence.features_read.metadata = {0: 4, 1: 3}, {0: "e=1 f=0", 1: "e=2 f=0"}
    assert broken(evidence) == {}


def test_retention_is_no_breach() -> None:
    """Inputs below the low end are gone; their answers are not phantoms. Answers gone with their inputs are not lost."""
    evidence = good()
    evidence.events.ids = evidence.events.ids[evidence.events.ids >= at(1, 0)]
    evidence.events.lows = {0: 6, 1: 0}
    evidence.features_read.ids = np.setdiff1d(evidence.features_read.ids, ids((0, 0), (0, 1)))
    evidence.features_read.lows = {0: 2, 1: 0}
    kept = [row for row in range(10) if row != row_of(evidence.predictions, 0, 0)]
    choose(evidence.predictions, kept)
    assert broken(evidence) == {}
