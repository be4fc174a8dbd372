"""A trained estimator as its trainer knows it: scores for rows, and which column stands for which class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from freshet.contracts.arrays import Floats, Floats32
from freshet.models.errors import ModelError


@dataclass(frozen=True, slots=True)
class Original:
    """`labels` are the estimator's classes in the order of its probabilities; None for a regression."""

    estimator: Any
    labels: tuple[Any, ...] | None

    @classmethod
    def of(cls, estimator: Any) -> "Original":
        """Look at a fitted scikit-learn estimator or a LightGBM booster; raises ModelError if it cannot give scores."""
        if is_booster(estimator):
            objective = str(estimator.params.get("objective", ""))
            if objective.startswith("binary"):
                return cls(estimator, (0, 1))
            if objective.startswith("multiclass"):
                return cls(estimator, tuple(range(estimator.num_model_per_iteration())))
            return cls(estimator, None)
        if not hasattr(estimator, "classes_"):
            if not hasattr(estimator, "predict"):
                raise ModelError(
                    "pack_input", f"{type(estimator).__name__} is neither an estimator nor the bytes of an ONNX file."
                )
            return cls(estimator, None)
        if not hasattr(estimator, "predict_proba"):
            raise ModelError(
                "pack_classes",
                f"{type(estimator).__name__} gives no probabilities: wrap it in scikit-learn's CalibratedClassifierCV.",
            )
        return cls(estimator, tuple(np.asarray(estimator.classes_).tolist()))

    @property
    def width(self) -> int:
        """Number of features that it was fitted on; 0 if it does not say."""
        if is_booster(self.estimator):
            return int(self.estimator.num_feature())
        return int(getattr(self.estimator, "n_features_in_", 0))

    def scores(self, rows: Floats32) -> Floats:
        """Probabilities (n, labels), or values (n, 1); raises what the estimator raises."""
        if self.labels is None or is_booster(self.estimator):
            values = np.asarray(self.estimator.predict(rows), np.float64)
            if self.labels is not None and values.ndim == 1:
                return np.stack([1 - values, values], axis=1)
            return values.reshape(len(rows), -1)
        return cast(Floats, np.asarray(self.estimator.predict_proba(rows), np.float64))


def is_booster(estimator: Any) -> bool:
    """True for LightGBM's native model, which is no scikit-learn estimator."""
    return type(estimator).__name__ == "Booster" and type(estimator).__module__.startswith("lightgbm")


def last_step(estimator: Any) -> Any:
    """The estimator that answers: the end of a Pipeline, or itself."""
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def class_columns(
    labels: Sequence[Any] | None, classes: Sequence[str], names: Mapping[Any, str] | None = None
) -> list[int | None]:
    """For each class of the pipeline its column in the estimator's scores, None if it never saw that class.

    `names` says which class a label stands for. Without it a label stands for the class of the same text, or else, if
    the labels are the numbers 0, 1, … one per class, for the class at that place. Raises ModelError if neither fits.
    """
    if (labels is None) != (not classes):
        found = "a regression" if labels is None else "a classifier"
        raise ModelError("pack_classes", f"the estimator is {found}, the pipeline's target is not.")
    if labels is None:
        return [0]
    if names is not None:
        texts = [names.get(label, "") for label in labels]
    elif all(str(label) in classes for label in labels):
        texts = [str(label) for label in labels]
    elif list(labels) == list(range(len(classes))):
        texts = list(classes)
    else:
        texts = [str(label) for label in labels]
    strange = [label for label, text in zip(labels, texts, strict=True) if text not in classes]
    if strange or len(set(texts)) != len(texts):
        raise ModelError(
            "pack_classes",
            f"the labels {list(labels)} do not name the pipeline's classes {list(classes)}, each once: "
            "pass labels={label: class} for every label.",
        )
    return [texts.index(name) if name in texts else None for name in classes]


def in_order(scores: Floats, columns: Sequence[int | None]) -> Floats32:
    """The estimator's scores in the pipeline's order, float32; 0 for a class that it never saw."""
    ordered = [scores[:, at] if at is not None else np.zeros(len(scores)) for at in columns]
    return np.stack(ordered, axis=1).astype(np.float32)
