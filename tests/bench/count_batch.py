"""How much of the code one batch of inference passes: what somebody has to read who follows an event through a worker.

Functions and files, and apart from them those of the codec (freshet.avro): to that reader it is a library.
Comprehensions count as part of their function; the bus in memory and the test's clock do not count.
"""

import sys
from collections import Counter
from types import FrameType

from simulation.test_inference_loop import Stage
from support.inference import rollout

_NOT_COUNTED = ("runtime/bus/memory/", "runtime/clock.py", "runtime/record_size.py", "testing/")


def passed_by_one_batch() -> tuple[int, Counter[tuple[str, str]]]:
    """The rows of a batch in steady state, and how often it calls each function, by file and name."""
    stage = Stage()
    stage.admit("1.0.0")
    stage.say("rollouts", rollout(1, "1.0.0"))
    worker = stage.worker("0")
    stage.feed(20)
    stage.turn(worker, times=30)
    stage.feed(7)
    worker.step(0.0)
    stage.feed(7)
    stage.clock.advance(30)
    calls: Counter[tuple[str, str]] = Counter()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        if event != "call" or "/freshet/" not in path or name.startswith("<"):
            return
        file = path.split("/freshet/", 1)[1]
        if not file.startswith(_NOT_COUNTED):
            calls[file, frame.f_code.co_qualname] += 1

    sys.setprofile(note)
    rows = worker.step(0.0)
    sys.setprofile(None)
    return rows, calls


def main() -> None:
    """Print the figures, and with an argument every function."""
    rows, calls = passed_by_one_batch()
    codec = {place for place in calls if place[0].startswith("avro/")}
    for what, places in (("all", set(calls)), ("the codec", codec), ("without the codec", set(calls) - codec)):
        files = {file for file, _ in places}
        sys.stdout.write(f"{what}: {rows} rows pass {len(places)} functions in {len(files)} files\n")
    if len(sys.argv) > 1:
        for (file, name), times in sorted(calls.items()):
            sys.stdout.write(f"{times:4} {file}: {name}\n")


if __name__ == "__main__":
    main()
