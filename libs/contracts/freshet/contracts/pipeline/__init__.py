"""pipeline.yaml: what a use case means, and everything that can be wrong with it."""

from freshet.contracts.pipeline.checks import check, compare, load_checked, load_folder
from freshet.contracts.pipeline.duration import Duration
from freshet.contracts.pipeline.problem import PipelineError, Problem
from freshet.contracts.pipeline.spec import FeatureSpec, Limits, PipelineSpec, RolloutSpec, Rule, Target

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
