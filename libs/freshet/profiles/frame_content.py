"""The columns of frames as arrays: read from a record, written to one, and added up."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np

from freshet.contracts.arrays import Bools, Floats, Ints
from freshet.contracts.errors import ContractError
from freshet.contracts.profile_messages import Frame

_COUNTS: Final = ("nulls", "infinite")
_MOMENTS: Final = ("minimum", "maximum", "mean", "squares")
_COUNT, _REAL = np.dtype("<i4"), np.dtype("<f8")


@dataclass(frozen=True, slots=True, eq=False)
class FrameContent:
    """What rows look like: a value for each of n columns, and bins for each group of rows.

    Counts are int64 in memory. Where frames were counted between other edges, their bins cannot be added: `edges` is
    empty then, and `bins` has the shape (groups, n, 0).
    """

    names: tuple[str, ...]
    rows: int
    nulls: Ints
    infinite: Ints
    minimum: Floats
    """NaN where there is no finite value; so is `maximum`."""
    maximum: Floats
    mean: Floats
    squares: Floats
    """The sum of squared distances from the mean."""
    edges: str
    bins: Ints
    """(groups, n, bins)."""
    versions: tuple[str, ...]
    epochs: tuple[int, ...]
    group_rows: Ints
    unusual_rows: int = 0

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """The content of a frame. Raises ContractError if a column's length is not what the record says."""
        check_frame(frame)
        wide: dict[str, Any] = {name: np.frombuffer(getattr(frame, name), _COUNT).astype(np.int64) for name in _COUNTS}
        wide |= {name: np.frombuffer(getattr(frame, name), _REAL) for name in _MOMENTS}
        shape = (len(frame.versions), len(frame.names), frame.bins_each)
        bins = np.frombuffer(frame.bins, _COUNT).astype(np.int64).reshape(shape)
        groups = frame.versions, frame.epochs, np.array(frame.group_rows, np.int64)
        return cls(
            frame.names,
            frame.rows,
            **wide,
            edges=frame.edges,
            bins=bins,
            **_named(groups),
            unusual_rows=frame.unusual_rows,
        )

    @classmethod
    def added(cls, parts: Sequence["FrameContent"]) -> Self:
        """All parts together; at least one. They must be of the same columns: else ContractError."""
        first = parts[0]
        if any(part.names != first.names for part in parts):
            raise ContractError("frames of different columns cannot be added up.")
        if len(parts) == 1:
            return cls(**{field.name: getattr(first, field.name) for field in fields(first)})
        rows = np.array([part.rows for part in parts])
        nulls, infinite, mean, squares = (
            np.array([getattr(part, name) for part in parts]) for name in (*_COUNTS, "mean", "squares")
        )
        count = np.maximum(rows[:, None] - nulls - infinite, 0)
        total = count.sum(axis=0)
        middle = (count * mean).sum(axis=0) / np.maximum(total, 1)
        spread = (squares + count * (mean - middle) ** 2).sum(axis=0)
        edges = first.edges if all(part.edges == first.edges for part in parts) else ""
        return cls(
            first.names,
            int(rows.sum()),
            nulls.sum(axis=0),
            infinite.sum(axis=0),
            np.fmin.reduce([part.minimum for part in parts]),
            np.fmax.reduce([part.maximum for part in parts]),
            middle,
            spread,
            edges,
            **_groups(parts, bins_each=first.bins.shape[2] if edges else 0),
            unusual_rows=sum(part.unusual_rows for part in parts),
        )

    def of_epochs(self, epochs: Collection[int]) -> "FrameContent":
        """Rows and bins of these epochs alone; all else is told of all rows only, and stays."""
        return self._of_groups(np.isin(self.epochs, list(epochs)))

    def without_versions(self, versions: Collection[str]) -> "FrameContent":
        """Without rows and bins of these versions; all else is told of all rows only, and stays."""
        return self._of_groups(~np.isin(self.versions, list(versions)))

    def _of_groups(self, kept: Bools) -> "FrameContent":
        groups = [group for group, keep in zip(zip(self.versions, self.epochs, strict=True), kept, strict=True) if keep]
        return replace(
            self,
            rows=int(self.group_rows[kept].sum()),
            bins=self.bins[kept],
            versions=tuple(version for version, _ in groups),
            epochs=tuple(epoch for _, epoch in groups),
            group_rows=self.group_rows[kept],
        )

    def as_one_group(self) -> "FrameContent":
        """The same, without versions and epochs."""
        rows = np.array([self.rows])
        return replace(self, bins=self.bins.sum(axis=0)[None], versions=("",), epochs=(-1,), group_rows=rows)

    def halved(self) -> "FrameContent":
        """As if of half the rows."""
        counts = {name: getattr(self, name) // 2 for name in (*_COUNTS, "bins", "group_rows", "rows", "unusual_rows")}
        return replace(self, **counts, squares=self.squares / 2)

    def values(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            field.name: value.tolist() if isinstance(value := getattr(self, field.name), np.ndarray) else value
            for field in fields(self)
        }

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """The content that gave these values."""
        whole = {name: np.array(values[name], np.int64) for name in ("nulls", "infinite", "group_rows")}
        real = {name: np.array(values[name], np.float64) for name in _MOMENTS}
        bins = np.array(values["bins"], np.int64).reshape(len(values["versions"]), len(values["names"]), -1)
        names = {name: tuple(values[name]) for name in ("names", "versions", "epochs")}
        return cls(**{**values, **names, **whole, **real, "bins": bins})

    @property
    def finite(self) -> Ints:
        """How many finite values each column has."""
        found: Ints = np.maximum(self.rows - self.nulls - self.infinite, 0)
        return found

    @property
    def deviation(self) -> Floats:
        """The standard deviation of each column's finite values; 0 where there are none."""
        found: Floats = np.sqrt(self.squares / np.maximum(self.finite, 1))
        return found

    @property
    def histogram(self) -> Ints:
        """Bins of all rows, (n, bins)."""
        found: Ints = self.bins.sum(axis=0)
        return found

    def fields(self) -> dict[str, Any]:
        """Its part of a `Frame`."""
        counts = {name: getattr(self, name).astype(_COUNT).tobytes() for name in _COUNTS}
        moments = {name: getattr(self, name).astype(_REAL).tobytes() for name in _MOMENTS}
        return {
            "names": self.names,
            "rows": self.rows,
            **counts,
            **moments,
            "edges": self.edges,
            "bins_each": self.bins.shape[2],
            "bins": self.bins.astype(_COUNT).tobytes(),
            "versions": self.versions,
            "epochs": self.epochs,
            "group_rows": tuple(self.group_rows.tolist()),
            "unusual_rows": self.unusual_rows,
        }


def check_frame(frame: Frame) -> None:
    """Raises ContractError if a column has not as many bytes as the record says, or if its numbers cannot be."""
    columns, groups = len(frame.names), len(frame.versions)
    sizes = dict.fromkeys(_COUNTS, _COUNT.itemsize * columns) | dict.fromkeys(_MOMENTS, _REAL.itemsize * columns)
    sizes["bins"] = _COUNT.itemsize * groups * columns * frame.bins_each
    for name, size in sizes.items():
        if len(getattr(frame, name)) != size:
            raise ContractError(
                f"the column {name} of a frame has {len(getattr(frame, name))} bytes, where its {columns} columns and "
                f"{groups} groups take {size}: a stranger wrote it, or it was damaged."
            )
    if not groups or groups != len(frame.epochs) or groups != len(frame.group_rows):
        raise ContractError("a frame must name version, epoch and rows of each of its groups.")
    if sum(frame.group_rows) != frame.rows or min(frame.group_rows) < 0 or frame.to_offset <= frame.from_offset:
        raise ContractError("a frame's groups do not add up to its rows, or it ends before it begins.")


def _named(groups: tuple[Any, Any, Any]) -> dict[str, Any]:
    return dict(zip(("versions", "epochs", "group_rows"), groups, strict=True))


def _groups(parts: Sequence[FrameContent], *, bins_each: int) -> dict[str, Any]:
    """Bins and rows by version and epoch, in the order of their first appearance."""
    places: dict[tuple[str, int], int] = {}
    for part in parts:
        for key in zip(part.versions, part.epochs, strict=True):
            places.setdefault(key, len(places))
    bins = np.zeros((len(places), len(parts[0].names), bins_each), np.int64)
    rows = np.zeros(len(places), np.int64)
    for part in parts:
        at = [places[key] for key in zip(part.versions, part.epochs, strict=True)]
        np.add.at(rows, at, part.group_rows)
        if bins_each:
            np.add.at(bins, at, part.bins)
    return {"bins": bins} | _named((tuple(key[0] for key in places), tuple(key[1] for key in places), rows))
