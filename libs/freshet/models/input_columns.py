"""A model's input columns, picked out of feature vectors by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from freshet.avro.columns import Ragged
from freshet.contracts.arrays import Floats32, Ints
from freshet.contracts.messages import Manifest


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """The inputs, float32 (rows, inputs), of the `rows` that have all of them; `lacking` are the other rows."""

    matrix: Floats32
    rows: Ints
    lacking: Ints


class FeatureSpace:
    """The names of a pipeline's features, in the order of the newest specification.

    Specifications only append, so a name has one place in all of them, and a vector of an older one is a prefix of a
    newer: whether a row has a column depends on the row's width alone, not on what this worker knows.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._inputs: dict[tuple[str, ...], Ints | None] = {}

    def knows(self, manifest: Manifest) -> bool:
        """Whether every input of the model is a feature of this space."""
        return self._places_of(manifest.inputs) is not None

    def _places_of(self, inputs: tuple[str, ...]) -> Ints | None:
        """Where these inputs are, looked up once for each model; None if one of them is nowhere."""
        if inputs not in self._inputs:
            known = all(name in self._places for name in inputs)
            self._inputs[inputs] = np.array([self._places[name] for name in inputs], np.int64) if known else None
        return self._inputs[inputs]

    def select(self, values: Ragged, manifest: Manifest) -> Selected:
        """The model's inputs of each row. Costs nothing where the rows are exactly the inputs."""
        places = self._places_of(manifest.inputs)
        assert places is not None
        needed = int(places.max(initial=-1)) + 1
        everything, nothing = np.arange(len(values)), np.empty(0, np.int64)
        width = int(values.lengths[0]) if len(values) else needed
        if width >= needed and (values.lengths == width).all():
            return Selected(_pick(values, width, places), everything, nothing)
        matrix = np.empty((len(values), len(places)), np.float32)
        for width in np.unique(values.lengths[values.lengths >= needed]).tolist():
            rows = np.flatnonzero(values.lengths == width)
            matrix[rows] = _pick(values.take(rows), width, places)
        enough = values.lengths >= needed
        rows = np.flatnonzero(enough)
        return Selected(matrix[rows], rows, np.flatnonzero(~enough))


class Holes(NamedTuple):
    """Rows that the model has no answer for, and the first input of each that should have a value."""

    rows: Ints
    names: tuple[str, ...]


def holes_of(matrix: Floats32, manifest: Manifest) -> Holes:
    """Rows, float32 (n, inputs), in which an input that the model requires has no value."""
    if not manifest.required:
        return _NO_HOLES
    places = _required_places(manifest.inputs, manifest.required)
    missing = np.isnan(matrix[:, places])
    rows = np.flatnonzero(missing.any(axis=1))
    return Holes(rows, tuple(manifest.inputs[places[at]] for at in missing[rows].argmax(axis=1).tolist()))


_NO_HOLES: Final = Holes(np.empty(0, np.int64), ())


@lru_cache(maxsize=64)
def _required_places(inputs: tuple[str, ...], required: tuple[str, ...]) -> Ints:
    wanted = set(required)
    return np.array([at for at, name in enumerate(inputs) if name in wanted], np.int64)


def _pick(values: Ragged, width: int, places: Ints) -> Floats32:
    matrix: Floats32 = values.matrix(width)
    if np.array_equal(places, np.arange(width)):
        return matrix
    return np.ascontiguousarray(matrix[:, places])
