"""The judge finds every kind of breach by the check that is meant for it, and nothing where nothing is wrong."""

import io

import numpy as np
import pytest
from rich.console import Console

from freshet.cli.verify import shown
from freshet.contracts.arrays import Bools
from freshet.contracts.position import stamped
from freshet.operate.verify.evidence import Evidence, History, Inputs, Life, Told
from freshet.operate.verify.judge import judge
from freshet.operate.verify.judgement import passes, sentence
from support.breaches import BREACHES, planted
from support.evidence import at, choose, claim, good, ids, row_of, swap


def broken(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """The checks that fail, each with its examples."""
    judgement = judge(evidence)
    assert judgement.ok is not any(finding.breaches for finding in judgement.findings)
    return {finding.check: finding.examples for finding in judgement.findings if not finding.ok}


def keep(inputs: Inputs, rows: Bools) -> None:
    """Let an input topic hold these records only."""
    inputs.ids, inputs.times_ms = inputs.ids[rows], inputs.times_ms[rows]


@pytest.mark.parametrize("name", BREACHES)
def test_a_planted_breach_is_found_and_only_that(name: str) -> None:
    """Exactly the checks that are meant for it fail, and they say where."""
    assert broken(planted(name)) == BREACHES[name].found


def test_a_good_pipeline_is_found_good_and_every_check_has_looked_at_something() -> None:
    """No breach, nothing pending; a check that looks at nothing would keep every promise."""
    judgement = judge(good())
    assert judgement.ok
    assert (judgement.answered, judgement.dead, judgement.pending) == (10, 3, 0)
    assert all(finding.looked_at for finding in judgement.findings)
    assert sentence(judgement).startswith("Both promises were kept for all 26 inputs. 10 predictions and 3 dead")
    assert sentence(judgement).endswith(
        f"Inputs are {judgement.inputs['events']} events, {judgement.inputs['feedback']} labels sent as feedback, "
        f"{judgement.inputs['features']} feature vectors."
    )


def test_an_empty_pipeline_is_nothing_to_judge() -> None:
    """Before the first event there is nothing to break, and nothing that was kept."""
    evidence = good()
    for inputs in (evidence.events, evidence.feedback, evidence.features_read):
        inputs.ids, inputs.times_ms, inputs.committed, inputs.metadata = ids(), ids(), {}, {}
    for answers in (evidence.features, evidence.labels, evidence.predictions, *evidence.letters.values()):
        choose(answers, [])
    evidence.history = History()
    assert broken(evidence) == {}
    assert judge(evidence).verdict == "nothing"


def test_inputs_under_way_are_pending_and_no_breach() -> None:
    """Two events and a vector that their groups have not committed past, one on a partition without any commit."""
    evidence = good()
    for inputs, new in ((evidence.events, ids((0, 6), (2, 0))), (evidence.features_read, ids((1, 4)))):
        inputs.ids, inputs.times_ms = np.append(inputs.ids, new), np.append(inputs.times_ms, new)
    judgement = judge(evidence)
    assert judgement.ok
    assert (judgement.pending, judgement.verdict) == (3, "pending")


def test_answers_ahead_of_the_committed_offsets_are_no_breach() -> None:
    """Offsets are read first, so a running pipeline has answered, and cut over, beyond them."""
    evidence = good()
    evidence.features_read.committed, evidence.features_read.metadata = {0: 4, 1: 3}, {0: "e=1 f=0", 1: "e=2 f=0"}
    assert broken(evidence) == {}


def test_entities_may_overtake_each_other() -> None:
    """Order is promised for each entity, not for a whole partition."""
    evidence = good()
    predictions = evidence.predictions
    one, other = row_of(predictions, 0, 1), row_of(predictions, 0, 2)
    assert predictions.entities[one] != predictions.entities[other]
    swap(predictions, one, other)
    assert broken(evidence) == {}


def test_inputs_that_expired_are_no_breach() -> None:
    """Those below the low end are gone: their answers are not phantoms, and answers gone with them are not lost."""
    evidence = good()
    keep(evidence.events, evidence.events.ids >= at(1, 0))
    evidence.events.lows, evidence.events.expired = {0: 6, 1: 0}, 6
    keep(evidence.features_read, ~np.isin(evidence.features_read.ids, ids((0, 0), (0, 1))))
    evidence.features_read.lows = {0: 2, 1: 0}
    choose(evidence.predictions, [row for row in range(10) if row != row_of(evidence.predictions, 0, 0)])
    assert broken(evidence) == {}
    assert [(one.role, one.count) for one in judge(evidence).unjudged] == [("events", 6)]


def without(evidence: Evidence, *places: tuple[int, int]) -> Evidence:
    """The same, where predictions about these vectors are not there."""
    gone = {row_of(evidence.predictions, *place) for place in places}
    ids_before = evidence.predictions.ids
    choose(evidence.predictions, [row for row in range(10) if row not in gone])
    evidence.predictions.ids = np.delete(ids_before, sorted(gone))
    return evidence


def test_an_answer_that_may_have_expired_is_not_judged_and_is_counted() -> None:
    """Vectors 0/0 and 0/1 came before the first prediction that is left on partition 0; 0/3 is behind kept ones."""
    evidence = without(good(), (0, 0), (0, 1), (0, 3))
    evidence.outputs["predictions"].kept_since_ms = {0: 10_000}
    assert broken(evidence) == {"no feature vector is lost": ("0/3",)}
    judgement = judge(evidence)
    assert [(one.role, one.count) for one in judgement.unjudged] == [("features", 2)]
    looked_at = {finding.check: finding.looked_at for finding in judgement.findings}
    assert looked_at["no feature vector is lost"] == 9


def test_vectors_whose_events_cannot_be_read_are_counted_and_not_judged() -> None:
    """No breach, and no proof: the sentence says how many."""
    evidence = good()
    claim(evidence.features, 0, others=Told.UNREADABLE)
    claim(evidence.features, 1, others=Told.NOT_THERE)
    judgement = judge(evidence)
    assert judgement.ok
    assert [(one.role, one.count) for one in judgement.unjudged] == [("features", 1)]
    looked_at = {finding.check: finding.looked_at for finding in judgement.findings}
    assert looked_at["features carry their event's id, entity and time"] == 9
    evidence.registry_trouble = "the registry does not answer."
    (told,) = judge(evidence).unjudged
    assert told.why.endswith("which cannot be read here, for the registry does not answer")


def test_without_a_specification_no_vector_is_held_to_one() -> None:
    """The pipeline's records are gone: nothing says how many values there should be."""
    evidence = good()
    evidence.history.spec_widths = {}
    looked_at = {finding.check: (finding.looked_at, finding.ok) for finding in judge(evidence).findings}
    assert looked_at["features have the values of their specification"] == (0, True)


def test_an_offset_that_stands_below_what_is_answered_is_warned_of() -> None:
    """An older backup of the offsets was put back whole: no promise is broken before somebody starts from it."""
    evidence = good()
    evidence.features_read.committed |= {0: 4}
    evidence.features_read.metadata[0] = "e=1 f=0"
    (*others,) = judge(evidence).warnings
    assert not any("committed offset" in text for text in others), "a service that runs is ahead of what was read first"
    evidence.features_read.standing = dict(evidence.features_read.committed)
    judgement = judge(evidence)
    (warning,) = set(judgement.warnings) - set(others)
    assert judgement.ok
    assert warning.startswith("The committed offset 4 of features/0 lies below 7, up to where records are answered")
    assert "to 7" in warning


def test_answers_to_a_life_that_nobody_knows_of_are_warned_of() -> None:
    """A cut-over, or an offset, of that life would tell that it was there."""
    evidence = good()
    before = judge(evidence).warnings
    evidence.predictions.other_lives = {"x": 3}
    (warning,) = set(judge(evidence).warnings) - set(before)
    assert warning.startswith("3 predictions name a features topic that no cut-over and no committed offset ever named")
    evidence.history.cutover_topics = {"x"}
    assert judge(evidence).warnings == before
    evidence.history.cutover_topics, evidence.features_read.named = set(), {"x"}
    assert judge(evidence).warnings == before


def test_a_number_that_was_changed_beside_its_text_is_named() -> None:
    """The text says with which number it was committed; the number that is there now is another."""
    evidence = good()
    text = stamped("e=2 f=0", "A" * 22, 3)
    evidence.features_read.metadata[0] = text
    (example,) = broken(evidence)["committed metadata is the last cut-over"]
    assert example == f"0: the number was changed to 7 beside its metadata {text!r}, cut-overs 'e=2 f=0'"


def test_an_offset_beyond_the_end_is_warned_of() -> None:
    """Whoever starts there would wait for records that take other records' numbers."""
    evidence = good()
    before = judge(evidence).warnings
    evidence.events.standing, evidence.events.ends = {0: 50, 1: 6}, {0: 6, 1: 6}
    (warning,) = set(judge(evidence).warnings) - set(before)
    assert warning.startswith(
        "The committed offset 50 of events/0 lies beyond the topic's end, 6: no service can start"
    )


def test_what_another_partition_lost_excuses_nothing() -> None:
    """Retention took the whole of predictions partition 1; a vector of partition 0 is lost all the same."""
    evidence = without(good(), (0, 2), (1, 0))
    evidence.outputs["predictions"].kept_since_ms = {1: 10**14}
    assert broken(evidence) == {"no feature vector is lost": ("0/2",)}


def test_an_event_may_have_been_answered_on_any_partition() -> None:
    """Ingestion keys by entity: only what came before the first of its partition's events on that one is excused."""
    evidence = good()
    gone = [row_of(evidence.features, 0, 0), row_of(evidence.features, 0, 3)]
    evidence.features = evidence.features.take(np.delete(np.arange(11), gone))
    evidence.outputs["features"].kept_since_ms = {0: 10**14}
    found = broken(evidence)
    assert found["no event is lost"] == ("0/3",)


def test_the_verdict_says_how_much_was_judged_and_why_not_all() -> None:
    """Two vectors' answers may have expired: kept is what could be judged, and no more."""
    evidence = without(good(), (0, 0), (0, 1))
    evidence.outputs["predictions"].kept_since_ms = {0: 10_000}
    assert sentence(judge(evidence)).startswith(
        "Both promises were kept for the 24 inputs that could be judged; 2 records could not be judged (features: 2 "
        "inputs without an answer, which retention may have taken). 8 predictions"
    )


def test_where_no_input_can_be_judged_nothing_is_green() -> None:
    """All there is are vectors whose answers may have expired."""
    evidence = good()
    for inputs in (evidence.events, evidence.feedback):
        inputs.ids, inputs.times_ms, inputs.committed, inputs.metadata = ids(), ids(), {}, {}
    for answers in (evidence.features, evidence.labels, evidence.predictions, *evidence.letters.values()):
        choose(answers, [])
    evidence.outputs["predictions"].kept_since_ms = {0: 10**14, 1: 10**14}
    judgement = judge(evidence)
    assert (judgement.verdict, passes(judgement, waited=False)) == ("nothing", False)
    assert sentence(judgement).startswith("Nothing could be judged; 11 records could not be judged (features: 11 inp")
    file = io.StringIO()
    Console(width=200, file=file).print(shown(judgement))
    lines = [line for line in file.getvalue().splitlines() if line.split()[-2:] == ["0", "0"]]
    assert {line.split()[0] for line in lines} == {"–"}


def test_inputs_that_are_all_under_way_are_said_to_be_unjudged() -> None:
    """Green it is not, though nothing is broken."""
    evidence = good()
    for inputs in (evidence.events, evidence.feedback, evidence.features_read):
        inputs.committed, inputs.metadata = {}, {}
    for answers in (evidence.features, evidence.labels, evidence.predictions, *evidence.letters.values()):
        choose(answers, [])
    judgement = judge(evidence)
    assert sentence(judgement).startswith("Nothing was judged yet. 0 predictions and 0 dead letters were read; 26 inp")
    assert (passes(judgement, waited=False), passes(judgement, waited=True)) == (True, False)
    assert [one.looked_at for one in judgement.findings if one.check.endswith("is lost")] == [0, 0, 0]


def test_an_answer_that_expired_with_its_dead_letter_topic_is_not_judged() -> None:
    """The dead letter of event 1/5 may have been there."""
    evidence = good()
    choose(evidence.letters["events"], [])
    evidence.outputs["dead-letters"].kept_since_ms = {1: 10**14}
    assert broken(evidence) == {}
    evidence.outputs["dead-letters"].kept_since_ms = {0: 10**14}
    assert broken(evidence) == {"no event is lost": ("1/5",)}


def test_a_gap_below_what_was_just_answered_is_no_loss_yet() -> None:
    """A running pipeline: predictions were read before 0/2 was answered, its partition's later ones after."""
    evidence = without(good(), (0, 2))
    evidence.features_read.committed, evidence.features_read.metadata = {}, {}
    evidence.outputs["predictions"].proven = {0: 2, 1: 4}
    evidence.outputs["dead-letters"].proven = {0: 0, 1: 0}
    assert broken(evidence) == {}
    assert judge(evidence).pending == 1


def test_what_an_open_transaction_hides_is_a_finding_and_not_lost() -> None:
    """The answer to 0/2 may lie behind it; who waits knows, and the transaction that stays open is the breach."""
    evidence = without(good(), (0, 2))
    evidence.outputs["predictions"].hidden = {0: (7, 9)}
    evidence.patience_s = 30
    assert broken(evidence) == {"no transaction is open for 30 s": ("predictions/0: offsets 7 to 9 are hidden",)}
    assert judge(evidence).pending == 1


def test_foreign_records_are_a_finding() -> None:
    """Somebody else wrote two records to features."""
    evidence = good()
    evidence.outputs["features"].foreign = ids((0, 4), (1, 1))
    assert broken(evidence) == {"only Freshet writes its outputs": ("features 0/4", "features 1/1")}


def relive(evidence: Evidence, life: Life) -> None:
    """Add predictions about vectors 0/5 and 1/3 that are of another life, or do not say."""
    predictions = evidence.predictions
    rows = [row_of(predictions, 0, 5), row_of(predictions, 1, 3)]
    choose(predictions, [*range(10), *rows])
    for row in (10, 11):
        claim(predictions, row, lives=life)


def test_answers_of_an_earlier_life_are_told_apart_and_counted() -> None:
    """They answered records of a topic that is there no more: twice-answered they are not."""
    evidence = good()
    relive(evidence, Life.EARLIER)
    assert broken(evidence) == {}
    assert [(one.role, one.count, one.why) for one in judge(evidence).unjudged] == [
        ("predictions", 2, "answers of an earlier life of features")
    ]


def test_answers_that_do_not_say_their_life_are_judged_while_there_was_one_life() -> None:
    """Records of an older release: nothing tells of a topic made anew, so they answer the one that is there."""
    evidence = good()
    relive(evidence, Life.UNSAID)
    assert broken(evidence) == {"no feature vector is answered twice": ("0/5", "1/3")}


@pytest.mark.parametrize("sign", ["cut-over", "committed offset"])
def test_answers_that_do_not_say_their_life_are_not_judged_after_another_one(sign: str) -> None:
    """They may be of either; and what only they answer is not lost."""
    evidence = good()
    evidence.predictions.lives[row_of(evidence.predictions, 0, 2)] = Life.UNSAID
    if sign == "cut-over":
        evidence.history.earlier_cutovers = 1
    else:
        evidence.features_read.of_earlier_life = {1: 44}
        del evidence.features_read.committed[1], evidence.features_read.metadata[1]
    assert broken(evidence) == {}
    judgement = judge(evidence)
    assert [(one.role, one.count) for one in judgement.unjudged] == [("features", 1), ("predictions", 1)]
    assert [("44 of features/1" in warning) for warning in judgement.warnings][:-1] == [True] * (sign != "cut-over")


def test_events_of_an_entity_on_several_partitions_are_told_to_whoever_produces_them() -> None:
    """A warning, and no breach: Freshet keeps the order of each partition."""
    judgement = judge(good())
    assert judgement.ok
    (warning,) = judgement.warnings
    assert "entity 'a' arrived on partitions 0, 1 (4 events)" in warning
    assert "and 2 more entities" in warning


def test_events_of_each_entity_on_one_partition_are_no_matter_for_a_warning() -> None:
    """As a producer that keys by entity sends them."""
    evidence = good()
    evidence.features.entities = evidence.features.inputs >> 44
    evidence.predictions.entities = evidence.predictions.sources >> 44
    judgement = judge(evidence)
    assert judgement.ok
    assert judgement.warnings == ()
