"""Output topics as columns, decoded batch by batch; what is none of Freshet's records is set aside."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from freshet.avro import Columns, Ragged, Strings
from freshet.avro.framed import FramedReader
from freshet.contracts import topic_id
from freshet.contracts.arrays import Bools, Ints
from freshet.contracts.batch import Batch
from freshet.operate.verify.evidence import Labels, Life, Output, Predictions, Told, Vectors
from freshet.operate.verify.places import hashed, hashes, identity, mixed

_MAX_BYTES: Final = 4 << 20


@dataclass(slots=True, eq=False)
class _Part:
    """The readable records of one batch: where they are, and what they say."""

    ids: Ints
    keys: Ints
    """Hashes."""
    columns: Columns

    def numbers(self, name: str) -> Ints:
        return np.asarray(self.columns[name]).astype(np.int64)

    def texts(self, name: str) -> Ints:
        return hashes(self.strings(name))

    def strings(self, name: str) -> Strings:
        column = self.columns[name]
        assert isinstance(column, Strings)
        return column

    def place(self, of: str) -> Ints:
        """Identities of the records that `{of}_partition` and `{of}_offset` name."""
        return identity(self.numbers(f"{of}_partition"), self.numbers(f"{of}_offset"))

    def lives(self, of: str, present: str) -> Ints:
        """See `Life`; of the topic that `{of}_topic` names. Nothing can be told apart without its present id."""
        if not present:
            return np.full(len(self.ids), Life.UNSAID, dtype=np.int64)
        said = self.texts(f"{of}_topic")
        lives = np.where(said == hashed(topic_id.to_bytes(present)), Life.PRESENT, Life.EARLIER)
        lives[said == hashed(topic_id.UNKNOWN_BYTES)] = Life.UNSAID
        return lives.astype(np.int64)

    def others(self, of: str, lives: Ints) -> Mapping[str, int]:
        """How many name which other life of that topic, by its id."""
        topics = self.strings(f"{of}_topic").take(lives == Life.EARLIER)
        return {topic_id.to_text(topic): count for topic, count in Counter(topics.tobytes()).items()}

    def answer(self, of: str, present: str) -> dict[str, Ints]:
        """The columns of `Answers`."""
        return {"ids": self.ids, "inputs": self.place(of), "lives": self.lives(of, present)}

    def keyed(self, of: str, present: str) -> dict[str, Ints | Bools]:
        """The columns of `Keyed`."""
        entities = self.texts("entity")
        return {**self.answer(of, present), "entities": entities, "other_keys": entities != self.keys}

    def about_event(self, of: str, present: str) -> dict[str, Ints | Bools]:
        """The columns that `Vectors` and `Predictions` share."""
        return self.keyed(of, present) | {
            "event_ids": self.texts("event_id"),
            "topics": self.texts("source_topic"),
            "event_times_ms": self.numbers("event_time"),
        }

    def not_compared(self) -> Ints:
        """The outcome of a comparison that was not made yet."""
        return np.full(len(self.ids), Told.NOT_THERE, dtype=np.int64)


def vectors(batches: Iterable[Batch], output: Output, events_id: str) -> Vectors:
    """All feature vectors. `events_id` is the present id of the events topic."""
    found = _Columns()
    for part in _decoded(batches, "FeatureVector", output):
        values = part.columns["values"]
        assert isinstance(values, Ragged)
        found.add(
            **part.about_event("source", events_id),
            spec_versions=part.numbers("spec_version"),
            widths=values.lengths,
            others=part.not_compared(),
        )
    return Vectors("features", **found.joined())


def labels(batches: Iterable[Batch], output: Output, feedback_id: str) -> Labels:
    """All labels. `feedback_id` is the present id of the feedback topic."""
    found = _Columns()
    for part in _decoded(batches, "Label", output):
        texts = map(part.texts, ("entity", "event_id", "label"))
        said = mixed(*texts, *map(part.numbers, ("labelled_at", "revision")))
        found.add(**part.keyed("source", feedback_id), said=said, others=part.not_compared())
    return Labels("labels", **found.joined())


def predictions(batches: Iterable[Batch], output: Output, features_id: str, events_id: str) -> Predictions:
    """All predictions. The ids are the present ones of the features and the events topic."""
    found = _Columns()
    names: dict[int, tuple[int, str]] = {}
    others: Counter[str] = Counter()
    for part in _decoded(batches, "Prediction", output):
        scores = part.columns["scores"]
        assert isinstance(scores, Ragged)
        about = part.about_event("features", features_id)
        others.update(part.others("features", about["lives"].astype(np.int64)))
        found.add(
            **about,
            sources=part.place("source"),
            source_lives=part.lives("source", events_id),
            epochs=part.numbers("epoch"),
            fallbacks=part.numbers("fallback"),
            versions=_coded(part.strings("version"), names),
            labels=part.texts("label"),
            highest=_highest(scores),
            widths=scores.lengths,
            not_finite=_not_finite(scores),
            arms=part.numbers("arm"),
        )
    return Predictions("predictions", **found.joined(), other_lives=others, names=[name for _, name in names.values()])


def _decoded(batches: Iterable[Batch], record: str, output: Output) -> Iterator[_Part]:
    reader = FramedReader.of(record, max_bytes=_MAX_BYTES)
    foreign = [output.foreign]
    for batch in batches:
        ids = identity(batch.partitions, batch.offsets)
        rows = reader.read(batch.values)
        output.records += len(batch)
        foreign.append(ids[[refused.row for refused in rows.refused]])
        keys = np.fromiter((hash(batch.keys[row] or b"") for row in rows.at.tolist()), np.int64, rows.at.size)
        yield _Part(ids[rows.at], keys, rows.columns)
    output.foreign = np.sort(np.concatenate(foreign))


class _Columns:
    """Columns that grow by parts."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Any]] = {}

    def add(self, **columns: Ints | Bools) -> None:
        """The next rows."""
        for name, column in columns.items():
            self._parts.setdefault(name, []).append(column)

    def joined(self) -> dict[str, Any]:
        """All rows by ascending `ids`; gives the parts up, so that little is held twice."""
        if not self._parts:
            return {}
        ids = np.concatenate(self._parts.pop("ids"))
        by_id = np.argsort(ids, kind="stable")
        found = {"ids": ids[by_id]}
        for name in list(self._parts):
            found[name] = np.concatenate(self._parts.pop(name))[by_id]
        return found


def _coded(versions: Strings, names: dict[int, tuple[int, str]]) -> Ints:
    """The index of each version in order of appearance; `names` remembers index and text by hash."""
    texts = hashes(versions)
    found, firsts, ranks = np.unique(texts, return_index=True, return_inverse=True)
    for text, first in zip(found.tolist(), firsts.tolist(), strict=True):
        if text not in names:
            names[text] = (len(names), versions.take(np.array([first])).tolist()[0])
    return np.array([names[text][0] for text in found.tolist()], dtype=np.int64)[ranks]


def _not_finite(scores: Ragged) -> Bools:
    """Which rows hold NaN or an infinity."""
    rows = np.repeat(np.arange(len(scores)), scores.lengths)
    found = np.zeros(len(scores), dtype=bool)
    found[rows[~np.isfinite(scores.flat)]] = True
    return found


def _highest(scores: Ragged) -> Ints:
    """The index of each row's highest score, the first of equals; -1 where there are none."""
    highest = np.full(len(scores), -1, dtype=np.int64)
    for width in np.unique(scores.lengths).tolist():
        rows = np.flatnonzero(scores.lengths == width)
        if width:
            highest[rows] = scores.take(rows).matrix(width).argmax(axis=1)
    return highest
