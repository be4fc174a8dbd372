"""One run: a seed decides everything that happens, and where."""

import traceback
from collections import Counter
from dataclasses import dataclass
from random import Random

from support.simulation.healing import heal
from support.simulation.laws import BrokenError, Laws
from support.simulation.scheduler import Scheduler
from support.simulation.world import World


class Failed(AssertionError):  # noqa: N818 - it is the verdict of a run
    """The run broke a promise; the text says how, and at which step it was."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was made of."""

    steps: int
    fed: int
    done: Counter[str]


def play(seed: str, steps: int) -> Run:
    """Play one run to its end and judge it. Raises Failed."""
    world = World(Random(seed))
    laws = Laws(world)
    scheduler = Scheduler(world, laws)
    try:
        for process in world.processes:
            process.start()
        for _ in range(steps):
            scheduler.act()
        scheduler.stop()
        heal(world)
        laws.at_the_end()
    except Exception as error:
        trail = "\n  ".join(scheduler.trail[-25:])
        why = traceback.format_exc() if not isinstance(error, BrokenError) else f"{error}"
        raise Failed(f"step {scheduler.steps}: {why}\nwhat was done last:\n  {trail}") from error
    return Run(scheduler.steps, world.fed, scheduler.done)
