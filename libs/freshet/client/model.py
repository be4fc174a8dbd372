"""A model and its sample, as a notebook has them, made ready to publish."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from freshet.client.errors import ClientError
from freshet.client.rows import named_columns
from freshet.contracts.arrays import Floats32
from freshet.models.bundle import Bundle
from freshet.models.pack import pack
from freshet.pipeline import PipelineSpec


def bundle_of(
    model: Any, sample: Any, spec: PipelineSpec, *, labels: Mapping[Any, str] | None, lineage: Mapping[str, str] | None
) -> Bundle:
    """A packed model: the bundle in that folder, or the estimator or file packed with it. See `Client.publish`."""
    if isinstance(model, str | Path):
        path = Path(model)
        if path.is_dir():
            return Bundle.load(path)
        model = _loaded(path)
    if sample is None:
        raise ClientError("sample is missing: give some rows of features, on which the packed model must answer alike.")
    inputs, rows = _features(model, sample, spec)
    return pack(model, rows, spec, inputs=inputs, labels=labels, lineage=lineage).bundle


def _loaded(path: Path) -> Any:
    """The model in a file, by its ending. A pickle runs whatever it holds: it must be the user's own."""
    try:
        if path.suffix == ".onnx":
            return path.read_bytes()
        if path.suffix == ".txt":
            import lightgbm  # noqa: PLC0415 - an extra, and heavy

            return lightgbm.Booster(model_file=str(path))
        import joblib  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra

        return joblib.load(path)
    except Exception as error:  # a damaged file raises whatever it likes
        raise ClientError(f"{path} cannot be read as a model: {type(error).__name__}: {error}.") from error


def _features(model: Any, sample: Any, spec: PipelineSpec) -> tuple[tuple[str, ...] | None, Floats32]:
    """Which features the columns of the sample are (None: the model knows), and the sample as float32."""
    named = isinstance(sample, Mapping) or (hasattr(sample, "columns") and not isinstance(sample, np.ndarray))
    if not named:
        return None, np.asarray(sample, np.float32)
    columns = named_columns(sample)
    fitted = tuple(map(str, getattr(model, "feature_names_in_", ())))
    inputs = fitted if fitted and set(fitted) <= set(columns) else spec.feature_names
    missing = [name for name in inputs if name not in columns]
    if missing:
        raise ClientError(f"the sample has no column {missing[0]!r}: the model reads {', '.join(inputs)}.")
    return inputs, np.column_stack([np.asarray(columns[name], np.float32) for name in inputs])
