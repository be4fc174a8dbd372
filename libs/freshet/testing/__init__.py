"""What the author of a part needs for its tests: the checks that ours pass, and a pipeline in memory to run a logic on.

A check returns nothing, or raises ConformanceError with a sentence: which promise is broken, and by what input. Call
it from any test runner. Nothing here needs a broker, and nothing that runs in production imports it.
"""

from freshet.runtime.bus.memory import MemoryBus, MemoryCluster, SimulatedCrash
from freshet.runtime.clock import ManualClock
from freshet.testing.conformance import ConformanceError
from freshet.testing.decider_checks import check_decider
from freshet.testing.decoder_checks import EVENT_SCHEMA, EVENT_SCHEMA_ID, check_decoder
from freshet.testing.logic_checks import check_logic
from freshet.testing.memory_pipeline import MemoryPipeline
from freshet.testing.policy_checks import check_policy
from freshet.testing.stateful_checks import check_stateful_logic
from freshet.testing.transform_checks import check_transform

__all__ = [
    "EVENT_SCHEMA",
    "EVENT_SCHEMA_ID",
    "ConformanceError",
    "ManualClock",
    "MemoryBus",
    "MemoryCluster",
    "MemoryPipeline",
    "SimulatedCrash",
    "check_decider",
    "check_decoder",
    "check_logic",
    "check_policy",
    "check_stateful_logic",
    "check_transform",
]
