"""Places where a test may stop or kill the process that it runs, by an environment variable.

`FRESHET_FAILPOINT=offsets_sent:3` kills it when it gets there for the third time; with `=SIGSTOP` after that, it
sleeps.
"""

import os
import signal
import time
from collections import Counter
from typing import Final

VARIABLE: Final = "FRESHET_FAILPOINT"

# The client's own thread sends what it was given a few milliseconds later. Killed at once, a process would leave
# nothing with the broker, and the open transaction is what makes it hard.
_SENDING_S: Final = 0.1

# read once: an unarmed process pays one comparison
_armed, _, _signal = os.environ.get(VARIABLE, "").partition("=")
_seen: Final = Counter[str]()


def reached(step: str) -> None:
    """Send the signal if this is the armed step at its armed count; otherwise nothing."""
    if not _armed:
        return
    _seen[step] += 1
    if _armed == f"{step}:{_seen[step]}":
        time.sleep(_SENDING_S)
        os.kill(os.getpid(), signal.Signals[_signal or "SIGKILL"])
