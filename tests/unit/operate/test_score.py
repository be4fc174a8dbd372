"""Predictions against labels: by event id, per version, in any split of the batches."""

from io import StringIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from freshet.avro import Column, Ragged, Strings
from freshet.cli.score import shown
from freshet.contracts.logic import DeadLetter
from freshet.contracts.topic_table import TopicNames
from freshet.operate.score.arithmetic import Labels, LabelTable, Scoring
from freshet.operate.score.scored_versions import document, scored
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus, Send
from freshet.runtime.dead_letter_records import Source, dead_letters, receipts
from freshet.runtime.reading import everything
from support.buses import MemoryWorld
from support.hand_written import encoded
from support.inference import CLASSES, specification
from support.rows import batch, row

NAMES = ("1.0.0", "2.0.0")


def labels(*records: tuple[int, int, float, int]) -> Labels:
    """A table of (event, revision, value, time) records."""
    table = LabelTable()
    for record in records:
        event, revision, value, time_ms = record
        table.add(np.array([event]), np.array([revision]), np.array([value]), np.array([time_ms]))
    return table.labels()


def scoring(known: Labels, *predictions: tuple[int, int, float, int], classes: bool = True) -> Scoring:
    """What comes of (version, event, value, time) predictions."""
    found = Scoring(known, classes=classes)
    if predictions:
        versions, events, values, times_ms = zip(*predictions, strict=True)
        found.add(NAMES, np.array(versions), np.array(events), np.array(values, np.float64), np.array(times_ms))
    return found


def test_each_version_is_compared_with_the_labels_of_its_own_events() -> None:
    """Right, wrong and unlabelled; a label without a prediction is counted."""
    known = labels((7, 0, 1.0, 100), (8, 0, 0.0, 100), (9, 0, 1.0, 100), (10, 0, 1.0, 100))
    found = scoring(known, (0, 7, 1.0, 50), (0, 8, 1.0, 50), (1, 9, 1.0, 50), (1, 99, 0.0, 50))
    old, new = found.versions["1.0.0"], found.versions["2.0.0"]
    assert (old.answered, old.own.rows, old.own.mean_absolute) == (2, 2, 0.5)
    assert (new.answered, new.own.rows, new.own.mean_absolute) == (2, 1, 0.0)
    assert (found.labels, found.unanswered, found.compared) == (4, 1, 3)


def test_the_highest_revision_of_a_label_counts_whenever_it_came() -> None:
    """Of equal revisions the later one."""
    found = scoring(labels((7, 1, 1.0, 100), (7, 0, 0.0, 200), (7, 1, 2.0, 300)), (0, 7, 2.0, 50))
    assert found.versions["1.0.0"].own.mean_absolute == 0.0
    assert found.labels == 1


def test_the_commonest_class_is_that_of_all_labels() -> None:
    """On each version's own rows: it may be a bad answer there."""
    known = labels((1, 0, 1.0, 9), (2, 0, 1.0, 9), (3, 0, 1.0, 9), (4, 0, 0.0, 9))
    found = scoring(known, (0, 1, 0.0, 0), (0, 2, 0.0, 0), (1, 4, 0.0, 0))
    assert found.constant == 1.0
    assert found.versions["1.0.0"].constant.mean_absolute == 0.0
    assert found.versions["2.0.0"].constant.mean_absolute == 1.0


def test_the_newest_label_is_one_that_was_there_when_the_prediction_was_written() -> None:
    """Not the event's own, which comes later; a prediction before the first label has no such baseline."""
    known = labels((1, 0, 1.0, 100), (2, 0, 0.0, 200), (3, 0, 1.0, 300))
    found = scoring(known, (0, 1, 1.0, 100), (0, 2, 0.0, 101), (0, 3, 1.0, 201))
    newest = found.versions["1.0.0"].newest
    assert (newest.rows, newest.absolute) == (2, 2.0)


def test_values_have_mean_absolute_and_root_mean_square_errors() -> None:
    """The constant is the mean of all labels."""
    known = labels((1, 0, 0.0, 10), (2, 0, 4.0, 20), (3, 0, 8.0, 30))
    found = scoring(known, (0, 1, 3.0, 15), (0, 2, 0.0, 15), classes=False)
    score = found.versions["1.0.0"]
    assert score.own.mean_absolute == 3.5
    assert score.own.root_mean_square == pytest.approx(12.5**0.5)
    assert (score.constant.mean_absolute, score.newest.mean_absolute) == (2.0, 2.0)


def test_without_labels_or_predictions_there_is_nothing_to_compare() -> None:
    """No share is made up."""
    assert scoring(labels(), (0, 1, 1.0, 0)).versions["1.0.0"].own.mean_absolute is None
    found = scoring(labels((1, 0, 1.0, 0)))
    assert (found.compared, found.unanswered, found.versions) == (0, 1, {})


@given(st.lists(st.integers(0, 40), max_size=3), st.integers(0, 99))
def test_any_split_into_batches_gives_the_same(cuts: list[int], seed: int) -> None:
    """Forty predictions in up to four batches."""
    rng = np.random.default_rng(seed)
    known = labels(*((event, 0, float(event % 3), 10 * event) for event in range(0, 40, 2)))
    versions, events, times_ms = rng.integers(0, 2, 40), np.arange(40), np.arange(40) * 7
    values = rng.integers(0, 3, 40).astype(np.float64)
    whole, split = Scoring(known, classes=True), Scoring(known, classes=True)
    whole.add(NAMES, versions, events, values, times_ms)
    for begin, end in pairwise(sorted({0, 40, *cuts})):
        part = slice(begin, end)
        split.add(NAMES, versions[part], events[part], values[part], times_ms[part])
    assert split.versions == whole.versions
    assert split.unanswered == whole.unanswered


def world(texts: list[str]) -> Bus:
    """Events 0, 1, 2 with these labels, and predictions about 0, 1, 9; a stranger's record on each topic."""
    made = MemoryWorld()
    made.make_topics("labels", "predictions", "dead-letters")
    producer = made.bus.producer()
    ids: dict[str, Column] = {"event_id": Strings.from_list(["0", "1", "2"]), "label": Strings.from_list(texts)}
    about: dict[str, Column] = {
        "event_id": Strings.from_list(["0", "1", "9"]),
        "label": Strings.from_list([CLASSES[0]] * 3),
        "version": Strings.from_list(["10.0.0", "9.0.0", "9.0.0"]),
        "scores": Ragged.from_matrix(np.full((3, 1), 2.0, np.float32)),
    }
    for role, record, columns in (("predictions", "Prediction", about), ("labels", "Label", ids)):
        producer.send(Send(role, [b"k"] * 4, [b"a stranger's", *encoded(record, 3, columns)], [0, 0, 1, 1]))
    return made.bus


def printed(found: Scoring, spec: PipelineSpec) -> str:
    """What a person reads."""
    file = StringIO()
    Console(width=200, file=file).print(shown(found, spec))
    return file.getvalue()


def test_classes_are_read_off_the_topics() -> None:
    """By event id, whatever the partition; the versions in their order, what has no counterpart is said."""
    spec = PipelineSpec.parse(specification().spec)
    found = scored(world([CLASSES[0], CLASSES[1], CLASSES[1]]), spec)
    told = document(found, spec)
    assert [(one["version"], one["answered"], one["score"]) for one in told["versions"]] == [
        ("9.0.0", 2, {"rows": 1, "right": 0.0}),
        ("10.0.0", 1, {"rows": 1, "right": 1.0}),
    ]
    assert (told["constant"], told["labels_without_prediction"]) == (CLASSES[1], 1)
    assert "1 of 3 predictions have no label; 1 of 3 labels are about events without" in printed(found, spec)
    assert f"always {CLASSES[1]}" in printed(found, spec)
    assert all(sign in printed(found, spec) for sign in ("Answered and refused:", "Right: the share", "no model"))


def test_a_range_is_about_its_predictions() -> None:
    """Labels count whenever they came; what was answered before is neither counted nor compared."""
    spec = PipelineSpec.parse(specification().spec)
    bus = world([CLASSES[0], CLASSES[1], CLASSES[1]])
    last_ms = max(int(batch.timestamps_ms.max()) for batch in everything(bus, "predictions"))
    assert scored(bus, spec, 0).compared == scored(bus, spec, last_ms).compared == 2
    later = scored(bus, spec, last_ms + 1)
    assert (later.compared, later.labels, later.versions) == (0, 3, {})
    assert "no prediction is there (3 events have a label)" in printed(later, spec)


def test_what_a_version_refused_is_counted_beside_its_answers() -> None:
    """Dead letters that name a version; those of other services, and receipts, are of no model."""
    spec = PipelineSpec.parse(specification().spec)
    bus = world([CLASSES[0], CLASSES[1], CLASSES[1]])
    features = batch([row(0, at) for at in range(5)])
    names = TopicNames("", spec.pipeline)
    for version, rows in (("10.0.0", [0, 1]), ("", [2]), ("11.0.0", [3])):
        letter = DeadLetter(np.array(rows), "model_missing_value", ["no"] * len(rows), model_version=version)
        bus.producer().send(dead_letters(features, letter, names, "inference", "1"))
    bus.producer().send(receipts([Source("p.events/0/1")], [0]))
    found = scored(bus, spec)
    told = document(found, spec)
    assert [(one["version"], one["answered"], one["refused"]) for one in told["versions"]] == [
        ("9.0.0", 2, 0),
        ("10.0.0", 1, 2),
        ("11.0.0", 0, 1),
    ]
    assert "refused" in printed(found, spec)
    assert "3 inputs have no prediction, since the version refused them" in printed(found, spec)
    assert f"freshet dead-letters list --pipeline {spec.pipeline}" in printed(found, spec)
    last_ms = max(int(batch.timestamps_ms.max()) for batch in everything(bus, "dead-letters"))
    assert scored(bus, spec, last_ms + 1).versions == {}


def test_values_are_read_off_the_topics() -> None:
    """A label is a number in decimal; what is none counts as no label."""
    spec = PipelineSpec.parse(specification().spec.replace(f"classes: [{', '.join(CLASSES)}]", "kind: value"))
    found = scored(world(["3.5", "2e0", "much"]), spec)
    told = document(found, spec)
    assert [one["score"] for one in told["versions"]] == [
        {"rows": 1, "mae": 0.0, "rmse": 0.0},
        {"rows": 1, "mae": 1.5, "rmse": 1.5},
    ]
    assert (told["constant"], told["labels"]) == (2.75, 2)
    assert "1.5 / 1.5" in printed(found, spec)


def test_without_labels_the_sentence_says_so() -> None:
    """Nobody is told of a share of nothing."""
    spec = PipelineSpec.parse(specification().spec)
    found = scored(world(["", "", ""]), spec)
    assert found.compared == 0
    assert "none of 3 predictions has a label" in printed(found, spec)
    assert document(found, spec)["constant"] is None
