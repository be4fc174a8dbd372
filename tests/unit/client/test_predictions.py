"""Predictions as columns: from where they are asked for, as many as are asked for, and where to go on."""

from datetime import UTC, datetime

import numpy as np
import pytest

from freshet.avro import Column, Encoder, Ragged, Strings
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.client.predictions import Since, read_predictions
from freshet.client.text_arrays import joined, text_array
from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send

ENCODER = Encoder(current_schema("Prediction"), schema_id("Prediction"))


def prediction(number: int, outputs: int = 2) -> bytes:
    """A record whose every field follows from its number."""
    whole = np.array([number])
    texts = {name: Strings.from_list([f"{name}-{number}"]) for name in ("event_id", "entity", "label", "version")}
    columns: dict[str, Column] = {
        **texts,
        "event_time": whole,
        "scores": Ragged(np.array([number, 0.5, 0.25][:outputs], np.float32), np.array([outputs])),
        **dict.fromkeys(("epoch", "features_offset", "source_offset"), whole),
        **dict.fromkeys(("fallback", "arm", "features_partition", "source_partition"), whole.astype(np.int32)),
        **dict.fromkeys(("features_topic", "source_topic"), Strings.repeat(bytes(16), 1)),
    }
    return ENCODER.encode(columns)[0]


@pytest.fixture
def bus() -> MemoryBus:
    """Two partitions: 0, 1, 2 in the first, with a stranger's record behind them, 3 in the second."""
    cluster, names = MemoryCluster(), TopicNames("", "p")
    cluster.ensure(names, 2)
    made = MemoryBus(cluster, names)
    values = [*map(prediction, range(4)), b"nonsense"]
    made.producer().send(Send("predictions", [b"k"] * 5, values, [0, 0, 0, 1, 0]))
    return made


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (None, [0, 1, 2, 3]),
        ({0: 2}, [2, 3]),
        ({0: 1, 1: 1}, [1, 2]),
        (0, [0, 1, 2, 3]),
        (datetime(2200, 1, 1, tzinfo=UTC), []),
    ],
)
def test_all_from_there_on(bus: MemoryBus, since: Since, expected: list[int]) -> None:
    """What is there now, once; a record that is no prediction is passed over."""
    found = read_predictions(bus, 2, since, None, 10.0)
    assert sorted(found["source_offset"].tolist()) == expected
    assert {len(column) for column in found.values()} == {len(expected)}
    assert found["scores"].shape == (len(expected), 2)
    assert sorted(read_predictions(bus, 2, found.next, None, 10.0)["epoch"].tolist()) == []


def test_a_limit_goes_on_where_it_ended(bus: MemoryBus) -> None:
    """Page by page every prediction comes once; more than there is are waited for no longer than asked."""
    seen: list[str] = []
    following: Since = None
    for _ in range(4):
        page = read_predictions(bus, 2, following, 2, 0.2)
        assert len(page["label"]) <= 2
        seen += page["event_id"].tolist()
        following = page.next
    assert sorted(seen) == [f"event_id-{number}" for number in range(4)]


@pytest.mark.parametrize("outputs", [0, 1, 3])
def test_a_prediction_with_another_number_of_scores_is_passed_over(bus: MemoryBus, outputs: int) -> None:
    """It is a stranger's, though it is well framed; also where a batch has no others."""
    bus.producer().send(Send("predictions", [b"k"], [prediction(9, outputs)], [1]))
    found = read_predictions(bus, 2, None, None, 10.0)
    assert sorted(found["source_offset"].tolist()) == [0, 1, 2, 3]
    assert found["scores"].shape == (4, 2)
    assert len(read_predictions(bus, 2, {0: 4, 1: 1}, None, 10.0)["label"]) == 0


def test_columns_have_their_types(bus: MemoryBus) -> None:
    """Text, times, scores and whole numbers as numpy has them."""
    found = read_predictions(bus, 2, {0: 2, 1: 1}, None, 10.0)
    assert found["event_time"].tolist() == [datetime(1970, 1, 1, 0, 0, 0, 2000)]
    assert found["label"].tolist() == ["label-2"]
    assert found["scores"].tolist() == [[2.0, 0.5]]
    kinds = {name: column.dtype.kind for name, column in found.items()}
    assert {kinds[name] for name in ("event_id", "entity", "label", "version")} == {"U"}
    assert {kinds[name] for name in ("event_time", "answered_at")} == {"M"}
    assert (found["partition"].tolist(), found["offset"].tolist()) == ([0], [2])


def test_one_long_text_takes_no_room_in_the_other_rows() -> None:
    """A stranger's label of half a megabyte among ten thousand would take 20 GB; among others read later, too."""
    long, short = "x" * 500_000, ["declined"] * 10_000
    alone = text_array([long])
    among = text_array([long, *short])
    later = joined([text_array(short), alone, text_array(short)])
    for found, expected in ((among, [long, *short]), (later, [*short, long, *short])):
        assert found.nbytes < 1 << 20
        assert found.tolist() == expected
    assert text_array(short).dtype == joined([text_array(short)] * 2).dtype == np.dtype("<U8")
    assert joined([text_array([]), text_array(["a"])]).tolist() == ["a"]
