"""One run: a seed decides everything that happens, and where."""

import logging
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from random import Random
from typing import Final

import pytest
import structlog

from freshet.contracts.pipeline import PipelineSpec
from freshet.runtime import answering
from support.simulation.laws import BrokenError, Laws
from support.simulation.scheduler import Scheduler
from support.simulation.world import World

_ROUNDS: Final = 400
_CALM_MS: Final = 1_000


class Failed(AssertionError):  # noqa: N818 - it is the verdict of a run
    """The run broke a promise; the text says how, and at which step it was."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was made of."""

    steps: int
    fed: int
    done: Counter[str]


@contextmanager
def cheaply() -> Iterator[None]:
    """Parse each specification once for all runs, and log nothing: both cost more than all else."""
    logs = structlog.get_config()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PipelineSpec, "parse", cache(PipelineSpec.parse))
        patch.setattr(answering, "version", cache(metadata.version))
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        try:
            yield
        finally:
            structlog.configure(**logs)


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
        _heal(scheduler)
        laws.at_the_end()
    except Exception as error:
        trail = "\n  ".join(scheduler.trail[-25:])
        why = traceback.format_exc() if not isinstance(error, BrokenError) else f"{error}"
        raise Failed(f"step {scheduler.steps}: {why}\nwhat was done last:\n  {trail}") from error
    return Run(scheduler.steps, world.fed, scheduler.done)


def _heal(scheduler: Scheduler) -> None:
    """Trouble ends: everybody is started and well, a sound model is offered, and time passes until all is answered."""
    world = scheduler.world
    scheduler.calm()
    for round_ in range(_ROUNDS):
        world.cluster.advance(_CALM_MS)
        for process in world.processes:
            process.start()
            process.step()
        if round_ == 3:
            scheduler.make_well()
        if round_ > 20 and round_ % 10 == 0:
            scheduler.see_to_it()
        if round_ > 8 and round_ % 3 == 0 and world.drained() and scheduler.settled():
            return
