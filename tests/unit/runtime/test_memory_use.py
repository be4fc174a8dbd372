"""What a process asks of the machine."""

import subprocess
import sys

import pytest

_WORK = """
import resource, sys
import numpy as np
from freshet.runtime.memory_use import keep_freed_memory

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        values = [bytes(90) for _ in range(5000)]
        joined = np.frombuffer(b"".join(values), np.uint8) + 1
        columns = [np.arange(5000) for _ in range(40)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    keep_freed_memory()
faults(20)
print(faults(20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's allocator is told")
def test_batch_after_batch_uses_the_memory_that_it_has() -> None:
    """What one batch freed serves the next: without that, each batch faults all its pages in again."""
    told, untold = (
        int(subprocess.run([sys.executable, "-c", _WORK, how], check=True, timeout=60, capture_output=True).stdout)
        for how in ("keep", "")
    )
    assert told * 10 < untold
