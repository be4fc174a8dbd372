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

    def inputs_of(self, manifest: Manifest) -> "InputPlaces | None":
        """Where the model's inputs are; None unless every one of them is a feature of this space."""
        if not all(name in self._places for name in manifest.inputs):
            return None
        return InputPlaces(np.array([self._places[name] for name in manifest.inputs], np.int64))


class InputPlaces:
    """Picks one model's inputs out of feature vectors: in the model's order, from these places of a vector."""

    def __init__(self, places: Ints) -> None:
        self._places = places
        self._needed = int(places.max(initial=-1)) + 1
        self._in_order = np.array_equal(places, np.arange(places.size))

    def select(self, values: Ragged) -> Selected:
        """The model's inputs of each row. Costs nothing where the rows are exactly the inputs."""
        width = int(values.lengths[0]) if len(values) else self._needed
        if width >= self._needed and (values.lengths == width).all():
            return Selected(self._pick(values, width), np.arange(len(values)), np.empty(0, np.int64))
        enough = values.lengths >= self._needed
        matrix = np.empty((len(values), self._places.size), np.float32)
        for width in np.unique(values.lengths[enough]).tolist():
            rows = np.flatnonzero(values.lengths == width)
            matrix[rows] = self._pick(values.take(rows), width)
        rows = np.flatnonzero(enough)
        return Selected(matrix[rows], rows, np.flatnonzero(~enough))

    def _pick(self, values: Ragged, width: int) -> Floats32:
        matrix: Floats32 = values.matrix(width)
        if self._in_order and width == self._places.size:
            return matrix
        return np.ascontiguousarray(matrix[:, self._places])


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
