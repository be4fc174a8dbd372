"""The services as they ship, on the bus in memory, under a seeded scheduler that acts between any two client calls.

`make sim SEED=… STEPS=…` runs it; CONTRIBUTING says how to read a failure.
"""

from support.simulation.run import Failed, Run, play

__all__ = ["Failed", "Run", "play"]
