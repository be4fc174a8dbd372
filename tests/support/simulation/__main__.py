"""`make sim SEED=… STEPS=…`: plays runs until so many steps are done, or one fails."""

import argparse
import secrets
import sys
import time
from collections import Counter

from support.simulation.run import Failed, cheaply, play

_RUN_STEPS = 50


def main() -> int:
    """Play; print what was played, or the line that repeats the failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="", help="a number or any text; random by default")
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--run", type=int, help="only this run of the seed")
    asked = parser.parse_args()
    seed = asked.seed or str(secrets.randbelow(10**6))
    runs = [asked.run] if asked.run is not None else range(-(-asked.steps // _RUN_STEPS))
    print(f"SEED={seed}: {len(runs)} runs of {_RUN_STEPS} steps", flush=True)
    done: Counter[str] = Counter()
    began = time.monotonic()
    for run in runs:
        try:
            played = play(f"{seed}/{run}", _RUN_STEPS)
        except Failed as failure:
            print(f"run {run} failed at {failure}")
            print(f"Again: make sim SEED={seed} RUN={run}")
            return 1
        done += played.done
        done["events"] += played.fed
    minutes = (time.monotonic() - began) / 60
    print(f"{len(runs)} runs, none failed, {len(runs) / minutes:.0f} a minute")
    print(", ".join(f"{what} {count}" for what, count in done.most_common()))
    return 0


if __name__ == "__main__":
    with cheaply():
        sys.exit(main())
