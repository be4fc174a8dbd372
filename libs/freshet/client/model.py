"""A model and its sample, as a notebook has them, made ready to publish."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from freshet.client.client_errors import ClientError
from freshet.client.python_rows import named_columns
from freshet.contracts.arrays import Floats32
from freshet.models.bundle import Bundle
from freshet.models.classes import Labels
from freshet.models.contract import TOLERANCE
from freshet.models.packing import inputs_for, pack
from freshet.models.saved import load_saved
from freshet.pipeline import PipelineSpec


class PackOptions(NamedTuple):
    """What the user says of a model; see `Client.publish`."""

    columns: Sequence[str] | None = None
    labels: Labels | None = None
    output_name: str | None = None
    max_gap: float = TOLERANCE
    lineage: Mapping[str, str] | None = None


def bundle_of(model: Any, sample: Any, spec: PipelineSpec, options: PackOptions) -> Bundle:
    """A packed model: the bundle in that folder, or the estimator or file packed with it. See `Client.publish`."""
    if isinstance(model, str | Path):
        path = Path(model)
        if path.is_dir():
            return Bundle.load(path)
        model = load_saved(path)
    if sample is None:
        raise ClientError("sample is missing: give some rows of features, on which the packed model must answer alike.")
    return pack(
        model,
        _features(model, sample, spec, options.columns),
        spec,
        inputs=options.columns,
        labels=options.labels,
        output_name=options.output_name,
        max_gap=options.max_gap,
        lineage=options.lineage,
    ).bundle


def _features(model: Any, sample: Any, spec: PipelineSpec, columns: Sequence[str] | None) -> Floats32:
    """The sample as float32, one column for each feature that the model reads, in its order."""
    named = isinstance(sample, Mapping) or (hasattr(sample, "columns") and not isinstance(sample, np.ndarray))
    if not named:
        return np.asarray(sample, np.float32)
    found = named_columns(sample)
    inputs = inputs_for(model, spec, columns).names
    missing = [name for name in inputs if name not in found]
    if missing:
        raise ClientError(f"the sample has no column {missing[0]!r}: the model reads {', '.join(inputs)}.")
    return np.column_stack([np.asarray(found[name], np.float32) for name in inputs])
