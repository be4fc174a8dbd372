"""Features and predictions of a pipeline on any bus, and the frames that follow from them, row by row."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from freshet.avro import Encoder, Ragged, Strings
from freshet.avro.control import decode
from freshet.avro.framed import FramedReader
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.profile_messages import Edges, Frame
from freshet.contracts.topic_id import to_bytes
from freshet.profiles.bin_edges import BinEdges, fixed
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_making import HOUR_MS, frame_rows
from freshet.runtime.bus.protocol import Bus, Send
from freshet.runtime.reading import everything
from support.join_world import CLASSES, JoinWorld, common_columns, prediction_columns

NAMES: Final = {"features": ("amount", "hour"), "answers": ("answer", "confidence", "score of bad")}
ROLES: Final = {"features": "features", "answers": "predictions"}
RECORDS: Final = {"features": "FeatureVector", "predictions": "Prediction"}


class Line(NamedTuple):
    """One record of an input as it lies in its log; None where it is none of the pipeline's."""

    offset: int
    at_ms: int
    values: tuple[float, ...] | None


class Expected(NamedTuple):
    """A frame as a plain loop has it."""

    from_offset: int
    to_offset: int
    lines: list[Line]
    refused: int


class ProfileWorld(JoinWorld):
    """Also sends features as they come, and says which frames there must be."""

    def vectors(self, rows: list[tuple[float, ...]], partition: int = 0) -> None:
        """Append these feature vectors."""
        values = [feature_vector(row) for row in rows]
        self.bus.producer().send(Send("features", [b"card"] * len(values), values, [partition] * len(values)))

    def frames(self) -> list[Frame]:
        """The log of profiles."""
        values = [value for batch in everything(self.bus, "profiles") for value in batch.values if value]
        found = [decode("profiles", value) for value in values]
        return [record for record in found if isinstance(record, Frame)]

    def edges(self) -> dict[tuple[str, ...], BinEdges]:
        """Those in force, by their columns."""
        found: dict[tuple[str, ...], BinEdges] = {}
        for batch in everything(self.bus, "edges"):
            for value in batch.values:
                record = decode("edges", value or b"")
                assert isinstance(record, Edges)
                found.setdefault(record.names, BinEdges.of(record))
        answers = fixed(NAMES["answers"], len(CLASSES))
        return found | {answers.names: answers}

    def check_frames(self) -> Counter[str]:
        """All frames are there, once, and say what a plain loop over their rows says. Returns how many of each kind."""
        frames, edges, counts = self.frames(), self.edges(), Counter[str]()
        for kind, role in ROLES.items():
            for partition in range(self.partitions):
                mine = [frame for frame in frames if (frame.kind, frame.partition) == (kind, partition)]
                expected = list(closed_frames(list(self.lines(role, partition))))
                places = [(frame.from_offset, frame.to_offset, frame.rows, frame.refused) for frame in mine]
                assert places == [(one.from_offset, one.to_offset, len(one.lines), one.refused) for one in expected]
                for frame, one in zip(mine, expected, strict=True):
                    assert frame.names == NAMES[kind][: len(frame.names)]
                    check_content(frame, one, edges[frame.names] if frame.edges else None)
                counts[kind] += len(mine)
                counts["bare"] += sum(not frame.edges for frame in mine)
        return counts

    def lines(self, role: str, partition: int) -> Iterator[Line]:
        """One input of a partition, as its log has it."""
        reader = FramedReader.of(RECORDS[role], max_bytes=1 << 20)
        for batch in everything(self.bus, role):
            rows = reader.read(batch.values)
            sound = dict(zip(rows.at.tolist(), values_of(role, rows.columns), strict=True))
            for row in batch.rows(partition).tolist():
                yield Line(int(batch.offsets[row]), int(batch.timestamps_ms[row]), sound.get(row))


@cache
def encoder(record: str) -> Encoder:
    """Made once: it costs ten times what it does for one row."""
    return Encoder(current_schema(record), schema_id(record))


def feature_vector(values: tuple[float, ...]) -> bytes:
    """A feature vector with these values."""
    columns = common_columns(["a-1"]) | {
        "spec_version": np.array([3], np.int32),
        "values": Ragged.from_matrix(np.array([values], np.float32)),
    }
    return encoder("FeatureVector").encode(columns)[0]


def prediction(bus: Bus, score: float, version: str = "1.0.0", epoch: int = 1) -> bytes:
    """A prediction with this score of the second class."""
    columns = prediction_columns(["a-1"], [0], to_bytes(bus.topic_id("features"))) | {
        "scores": Ragged.from_matrix(np.array([[1 - score, score]], np.float32)),
        "label": Strings.from_list([CLASSES[int(score >= 0.5)]]),
        "version": Strings.from_list([version]),
        "epoch": np.array([epoch]),
    }
    return encoder("Prediction").encode(columns)[0]


def values_of(role: str, columns: Any) -> list[tuple[float, ...] | None]:
    """What is counted of each record."""
    lists = columns["values" if role == "features" else "scores"]
    ends = np.cumsum(lists.lengths).tolist()
    numbers = [lists.flat[end - length : end].tolist() for end, length in zip(ends, lists.lengths, strict=True)]
    if role == "features":
        return [tuple(row) or None for row in numbers]
    return [_answer(row, answer) for row, answer in zip(numbers, columns["label"].tolist(), strict=True)]


def _answer(scores: list[float], answer: str) -> tuple[float, ...] | None:
    if len(scores) != len(CLASSES) or answer not in CLASSES or not all(map(math.isfinite, scores)):
        return None
    return float(CLASSES.index(answer)), max(scores), scores[1]


def closed_frames(lines: list[Line]) -> Iterator[Expected]:
    """Cut one input as a reader would by hand."""
    open_lines: list[Line] = []
    begin, key, refused, loose = lines[0].offset if lines else 0, (0, 0, 0), 0, 0
    for line in lines:
        if line.values is None:
            loose += 1
            continue
        width = len(line.values)
        mine = (line.offset // frame_rows(width), line.at_ms // HOUR_MS, width)
        if open_lines and mine != key:
            end = open_lines[-1].offset + 1
            yield Expected(begin, end, open_lines, refused)
            open_lines, begin, refused = [], end, 0
        key = mine
        refused, loose = refused + loose, 0
        open_lines.append(line)


def check_content(frame: Frame, expected: Expected, edges: BinEdges | None) -> None:
    """Its counts are those of a plain loop."""
    found = FrameContent.of(frame)
    assert (frame.first_ms, frame.last_ms) == (expected.lines[0].at_ms, max(line.at_ms for line in expected.lines))
    for at in range(len(frame.names)):
        column = [line.values[at] for line in expected.lines if line.values is not None]
        finite = [value for value in column if math.isfinite(value)]
        assert int(found.nulls[at]) == sum(map(math.isnan, column))
        assert int(found.infinite[at]) == sum(map(math.isinf, column))
        if finite:
            assert (found.minimum[at], found.maximum[at]) == (min(finite), max(finite))
            mean = sum(finite) / len(finite)
            assert math.isclose(found.mean[at], mean, rel_tol=1e-9, abs_tol=1e-9)
            squares = sum((value - mean) ** 2 for value in finite)
            assert math.isclose(found.squares[at], squares, rel_tol=1e-6, abs_tol=1e-6)
        if edges is not None:
            counts = Counter(bisect_right(edges.edges[at].tolist(), value) for value in finite)
            assert found.histogram[at].tolist() == [counts[place] for place in range(edges.bins_each)]
