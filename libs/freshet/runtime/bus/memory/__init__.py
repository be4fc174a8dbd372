"""The bus in memory: deterministic, single-threaded, with Kafka's rules for groups, transactions and offsets."""

from freshet.runtime.bus.memory.cluster import MemoryCluster
from freshet.runtime.bus.memory.coordinator import STEPS, SimulatedCrash, Step
from freshet.runtime.bus.memory.memory_bus import MemoryBus

__all__ = ["STEPS", "MemoryBus", "MemoryCluster", "SimulatedCrash", "Step"]
