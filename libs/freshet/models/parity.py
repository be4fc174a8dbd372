"""How far an ONNX graph is from the estimator that it was made of: on the sample, and on rows made to hurt."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from onnx import ModelProto

from freshet.contracts.arrays import Bools, Floats32, Ints
from freshet.features.transform import Domain
from freshet.models.gaps import row_gaps
from freshet.models.hard_rows import Score, boundary_rows, category_rows, edge_rows, possible, split_rows
from freshet.models.model_error import ModelError

GROUPS: Final[Mapping[str, str]] = {
    "sample": "on your rows",
    "splits": "at and beside the splits of its trees",
    "jumps": "where its answers jump",
    "categories": "at whole numbers and strangers among them",
    "edges": "at extreme values",
    "missing": "with missing values",
}
"""The groups of rows that are compared, in words."""

_CHUNK_ROWS: Final = 5_000
_WIDE_ROWS: Final = 500
_MISSING_ROWS: Final = 256
_TIE: Final = 1e-6  # float32 cannot tell two classes apart that are nearer than this


@dataclass(frozen=True, slots=True)
class Parity:
    """What the comparison found. A gap is absolute for scores up to 1, relative above."""

    rows: int
    """Rows compared."""
    gaps: Mapping[str, float]
    """Largest gap of each group of `GROUPS` that there was."""
    agreement: float
    """Share of rows with the same label: the class of the highest score, ties aside. 1.0 for a regression."""

    @property
    def max_gap(self) -> float:
        """The largest gap of all; infinite if one side is finite and the other is not."""
        return max(self.gaps.values())

    def in_words(self) -> str:
        """Each group with its largest gap."""
        return ", ".join(f"{gap:.2g} {GROUPS[name]}" for name, gap in self.gaps.items())


def compare(
    original: Score,
    packed: Score,
    model: ModelProto,
    rows: Floats32,
    required: Bools,
    *,
    domains: Sequence[Domain],
) -> Parity:
    """Score the sample, and rows made of it to hurt, both ways.

    `rows` is float32 (n, inputs), n ≥ 1, all of which the original answers; `required` marks the inputs that must have
    a value, and `domains` says which values each input can have: the rows hold no others. Raises ModelError if the
    original refuses one of the hard rows, since the graph would answer it.
    """
    splits = split_rows(model, rows)
    hard = {"splits": splits.rows, "categories": category_rows(rows), "edges": edge_rows(rows)}
    groups = {"sample": rows, **{name: possible(group, domains) for name, group in hard.items()}}
    groups["missing"] = missing_rows(rows, np.flatnonzero(~required & [can.blank for can in domains]))
    pairs = {}
    for name, group in groups.items():
        if len(group):
            with _refusals(name):
                pairs[name] = in_chunks(original, group), in_chunks(packed, group)
    if not splits.all_seen:
        with _refusals("jumps"):
            jumps = boundary_rows(lambda asked: original(possible(asked, domains)), rows)
            jumps = possible(jumps, domains)
            if len(jumps):
                pairs["jumps"] = in_chunks(original, jumps), in_chunks(packed, jumps)
    return _parity(pairs)


@contextmanager
def _refusals(group: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ModelError(
            "pack_input",
            f"the original refuses rows {GROUPS[group]}: {str(error).splitlines()[0][:200]} Its ONNX form would answer "
            "them. If it is about categories that it has not seen: let the pipeline's features encode them (one_hot).",
        ) from error


def compare_scores(expected: Floats32, answered: Floats32) -> Parity:
    """The same for scores of the sample alone, float32 (n, outputs): all there is if the original is not at hand."""
    return _parity({"sample": (expected, answered)})


def required_inputs(score: Score, rows: Floats32) -> Bools:
    """Which inputs must have a value: without it the model raises ValueError, or its scores are not finite."""
    width = rows.shape[1]
    whole = np.nan_to_num(rows[np.isnan(rows).sum(axis=1).argmin()], nan=0)
    found = np.zeros(width, np.bool_)
    for first in range(0, width, _WIDE_ROWS):
        columns = np.arange(first, min(first + _WIDE_ROWS, width))
        asked = np.tile(whole, (columns.size, 1))
        asked[np.arange(columns.size), columns] = np.nan
        try:
            found[columns] = ~np.isfinite(score(asked)).all(axis=1)
        except ValueError:
            found[columns] = [_is_refused(score, row[None]) for row in asked]
    return found


def _is_refused(score: Score, row: Floats32) -> bool:
    try:
        return not np.isfinite(score(row)).all()
    except ValueError:
        return True


def missing_rows(rows: Floats32, columns: Ints) -> Floats32:
    """Rows of the sample with one of these columns missing, each in turn, and some with all of them; float32."""
    if not columns.size:
        return rows[:0]
    count = max(columns.size, min(_MISSING_ROWS, len(rows)))
    holed = np.resize(rows, (count, rows.shape[1])).copy()
    holed[np.arange(count), np.resize(columns, count)] = np.nan
    empty = rows[: min(8, len(rows))].copy()
    empty[:, columns] = np.nan
    return np.concatenate([holed, empty])


def in_chunks(score: Score, rows: Floats32) -> Floats32:
    """The scores of many rows, asked for some at a time."""
    return np.concatenate([score(rows[at : at + _CHUNK_ROWS]) for at in range(0, len(rows), _CHUNK_ROWS)])


def _parity(pairs: Mapping[str, tuple[Floats32, Floats32]]) -> Parity:
    total = sum(len(expected) for expected, _ in pairs.values())
    same = sum(int(_same_label(*pair).sum()) for pair in pairs.values())
    return Parity(total, {name: float(row_gaps(*pair).max()) for name, pair in pairs.items()}, same / total)


def _same_label(expected: Floats32, answered: Floats32) -> Bools:
    chosen = answered.argmax(axis=1)
    at_choice = np.take_along_axis(expected, chosen[:, None], axis=1)[:, 0]
    same: Bools = (expected.argmax(axis=1) == chosen) | (expected.max(axis=1) - at_choice < _TIE)
    return same
