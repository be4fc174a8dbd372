"""`make sim SEED=… STEPS=…`: plays runs until so many steps are done, or one fails."""

import argparse
import multiprocessing
import os
import secrets
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from support.simulation.cheap import cheaply
from support.simulation.drift import play_drift
from support.simulation.loop import play_loop
from support.simulation.run import Failed, Run, play
from support.simulation.stateful import play_state
from support.stateful import KINDS

_RUN_STEPS = 50
_AT_ONCE = 10
_STATE_ACTS = 20
"""So much happens in each run to a logic with state."""
_DRIFT_ACTS = 40
_DRIFT_EVERY = 10
"""One run of so many is drift's, too: it takes as long as all of them."""
_LOOP_EVERY = 20
"""And one of so many, the first of all among them, is that of the closed loop."""


def main() -> int:
    """Play; print what was played, or the line that repeats the failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="", help="a number or any text; random by default")
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--run", type=int, help="only this run of the seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    seed = asked.seed or str(secrets.randbelow(10**6))
    runs = [asked.run] if asked.run is not None else range(-(-asked.steps // _RUN_STEPS))
    print(f"SEED={seed}: {len(runs)} runs of {_RUN_STEPS} steps", flush=True)
    done: Counter[str] = Counter()
    began = time.monotonic()
    for run, played in zip(runs, _played(seed, runs, asked.processes), strict=True):
        if isinstance(played, str):
            print(f"run {run} failed at {played}")
            print(f"Again: make sim SEED={seed} RUN={run}")
            return 1
        done += played.done
        done["events"] += played.fed
    minutes = (time.monotonic() - began) / 60
    print(f"{len(runs)} runs, none failed, {len(runs) / minutes:.0f} a minute")
    print(", ".join(f"{what} {count}" for what, count in done.most_common()))
    return 0


def _played(seed: str, runs: Sequence[int], processes: int) -> Iterator[Run | str]:
    """What became of each run, in order. Which process plays it changes nothing: a run knows only its own seed."""
    seeds = [(f"{seed}/{run}", run) for run in runs]
    if min(processes, len(runs)) < 2:
        yield from map(_verdict, seeds)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(_verdict, seeds, _AT_ONCE)


def _verdict(which: tuple[str, int]) -> Run | str:
    seed, run = which
    kind = Random(seed).choice(KINDS)
    what = f"the state of {kind.__name__}"
    try:
        play_state(kind, seed, _STATE_ACTS)
        what = "drift"
        done = _named("drift", play_drift(seed, _DRIFT_ACTS)) if run % _DRIFT_EVERY == 0 else Counter[str]()
        what = "the loop"
        done += _named("loop", play_loop(seed, _DRIFT_ACTS)) if run % _LOOP_EVERY == 0 else Counter[str]()
        what = "inference"
        played = play(seed, _RUN_STEPS)
    except Failed as failure:
        return str(failure)
    except Exception:
        return f"{what}: {traceback.format_exc()}"
    played.done.update(done)
    return played


def _named(of: str, done: Counter[str]) -> Counter[str]:
    return Counter({f"{of}: {name}": count for name, count in done.items()})


if __name__ == "__main__":
    with cheaply():
        sys.exit(main())
