"""A trained estimator as its trainer knows it: what it answers for rows, and in what order."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from freshet.contracts.arrays import Floats, Floats32
from freshet.models.model_error import ModelError

Kind = Literal["classes", "value", "detector"]


@dataclass(frozen=True, slots=True)
class Original:
    """`labels` are a classifier's classes in the order of its probabilities; empty for all else."""

    estimator: Any
    kind: Kind
    labels: tuple[Any, ...] = ()

    @classmethod
    def of(cls, estimator: Any) -> "Original":
        """Look at a fitted scikit-learn estimator or a LightGBM booster; raises ModelError if it cannot give scores."""
        if is_booster(estimator):
            return _booster(estimator)
        if isinstance(estimator, dict):
            raise ModelError(
                "pack_input", f"it is a dict with the keys {', '.join(map(str, estimator))}: save the estimator alone."
            )
        if not hasattr(estimator, "predict"):
            raise ModelError(
                "pack_input", f"{type(estimator).__name__} is neither an estimator nor the bytes of an ONNX file."
            )
        _check_fitted(estimator)
        estimator = by_place(estimator)
        if not hasattr(estimator, "classes_"):
            return cls(estimator, _kind(estimator))
        if not hasattr(estimator, "predict_proba"):
            raise ModelError(
                "pack_classes",
                f"{type(last_step(estimator)).__name__} gives no probabilities, and a margin is none: wrap it in "
                "scikit-learn's CalibratedClassifierCV.",
            )
        return cls(estimator, "classes", tuple(np.asarray(estimator.classes_).tolist()))

    @property
    def width(self) -> int:
        """Number of features that it was fitted on; 0 if it does not say."""
        if is_booster(self.estimator):
            return int(self.estimator.num_feature())
        return int(getattr(self.estimator, "n_features_in_", 0))

    def scores(self, rows: Floats32) -> Floats:
        """Probabilities (n, labels), values (n, 1), or a detector's decision_function (n, 1); raises what it raises."""
        if self.kind == "detector":
            return np.asarray(self.estimator.decision_function(rows), np.float64).reshape(len(rows), -1)
        if self.kind == "value" or is_booster(self.estimator):
            values = np.asarray(self.estimator.predict(rows), np.float64)
            if self.labels and values.ndim == 1:
                return np.stack([1 - values, values], axis=1)
            return values.reshape(len(rows), -1)
        return cast(Floats, np.asarray(self.estimator.predict_proba(rows), np.float64))

    def chosen(self, rows: Floats32) -> list[Any] | None:
        """The label that a classifier's own `predict` names for each row; None where it names none."""
        if self.kind != "classes" or is_booster(self.estimator):
            return None
        return cast(list[Any], np.asarray(self.estimator.predict(rows)).tolist())


def is_booster(estimator: Any) -> bool:
    """True for LightGBM's native model, which is no scikit-learn estimator."""
    return type(estimator).__name__ == "Booster" and type(estimator).__module__.startswith("lightgbm")


def last_step(estimator: Any) -> Any:
    """The estimator that answers: the end of a Pipeline, or itself."""
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def parts_of(estimator: Any) -> Iterator[Any]:
    """The estimator and every fitted one inside it."""
    seen, waiting = set(), [estimator]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list | tuple):
            waiting.extend(part)
        elif isinstance(part, np.ndarray) and part.dtype == object:
            waiting.extend(part.ravel().tolist())
        elif hasattr(part, "__dict__") and _is_part(part) and id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting.extend(vars(part).values())


def _is_part(thing: Any) -> bool:
    return hasattr(thing, "get_params") or type(thing).__module__.startswith("sklearn.")


def by_place(estimator: Any) -> Any:
    """The estimator with columns that it picks by name (ColumnTransformer) picked by their place among its names.

    Freshet asks with arrays, whose columns it has put in the order of those names.
    """
    if not any(_picks_by_name(part) for part in parts_of(estimator)):
        return estimator
    changed = copy.deepcopy(estimator)
    for part in parts_of(changed):
        if _picks_by_name(part):
            names = list(part.feature_names_in_)
            part.transformers_ = [
                (
                    name,
                    step,
                    [names.index(column) if isinstance(column, str) else column for column in _listed(columns)],
                )
                for name, step, columns in part.transformers_
            ]
            part._columns = [columns for _, _, columns in part.transformers_][: len(part._columns)]
        if "feature_names_in_" in vars(part):
            del part.feature_names_in_  # else it would ask arrays for names
    return changed


def _picks_by_name(part: Any) -> bool:
    return hasattr(part, "transformers_") and hasattr(part, "feature_names_in_") and hasattr(part, "_columns")


def _listed(columns: Any) -> list[Any]:
    return [columns] if isinstance(columns, str | int) else np.asarray(columns).tolist()


def _check_fitted(estimator: Any) -> None:
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415  (ready ONNX needs no scikit-learn)
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415

    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise ModelError(
            "pack_input", f"{type(estimator).__name__} is not fitted: fit it before it is saved."
        ) from error
    except TypeError as error:
        raise ModelError(
            "pack_input", f"{type(estimator).__name__} is no estimator that scikit-learn knows."
        ) from error


def _kind(estimator: Any) -> Kind:
    from sklearn.base import is_outlier_detector, is_regressor  # noqa: PLC0415

    if is_outlier_detector(estimator):
        return "detector"
    if is_regressor(estimator) or type(estimator).__name__ == "LGBMRanker":
        return "value"
    raise ModelError(
        "pack_input",
        f"{type(estimator).__name__} is no classifier, regressor or detector of outliers: its numbers are no scores.",
    )


def _booster(booster: Any) -> Original:
    objective = str(booster.dump_model(num_iteration=1).get("objective", ""))
    if objective.startswith("binary"):
        return Original(booster, "classes", (0, 1))
    if objective.startswith("multiclass"):
        return Original(booster, "classes", tuple(range(booster.num_model_per_iteration())))
    return Original(booster, "value")
