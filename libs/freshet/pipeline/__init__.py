"""pipeline.yaml: the specification of a use case, and all checks on it."""

from freshet.contracts.duration import Duration
from freshet.pipeline.checks import check, compare, load_checked, load_folder
from freshet.pipeline.problem import PipelineError, Problem
from freshet.pipeline.spec import FeatureSpec, Limits, PipelineSpec, RolloutSpec, Rule, Target

__all__ = [
    "Duration",
    "FeatureSpec",
    "Limits",
    "PipelineError",
    "PipelineSpec",
    "Problem",
    "RolloutSpec",
    "Rule",
    "Target",
    "check",
    "compare",
    "load_checked",
    "load_folder",
]
