"""The bus in memory: deterministic, single-threaded, with Kafka's rules for groups, transactions and offsets."""

from freshet.runtime.memory.bus import MemoryBus
from freshet.runtime.memory.cluster import MemoryCluster
from freshet.runtime.memory.transaction import STEPS, SimulatedCrash, Step

__all__ = ["STEPS", "MemoryBus", "MemoryCluster", "SimulatedCrash", "Step"]
