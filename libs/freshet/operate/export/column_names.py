"""What the columns are called that a pipeline's features and scores become."""

from collections.abc import Collection

from freshet.pipeline import PipelineSpec


def feature_columns(spec: PipelineSpec, taken: Collection[str]) -> list[str]:
    """The features by their names; `feature.NAME` where another column is called so already."""
    return [f"feature.{name}" if name in taken else name for name in spec.feature_names]


def score_columns(spec: PipelineSpec) -> list[str]:
    """The score of each class, or the value of a regression."""
    return [f"score.{name}" for name in spec.target.classes] or ["value"]
