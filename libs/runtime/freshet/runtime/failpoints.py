"""Places where a test may kill this very process: `FRESHET_FAILPOINT=offsets_sent:3` dies at the third."""

import os
import signal
from collections import Counter
from typing import Final

VARIABLE: Final = "FRESHET_FAILPOINT"

_armed: Final = os.environ.get(VARIABLE, "")  # read once: an unarmed process pays one comparison
_seen: Final = Counter[str]()


def reached(step: str) -> None:
    """Die by SIGKILL if this is the armed step at its armed count; otherwise nothing."""
    if not _armed:
        return
    _seen[step] += 1
    if _armed == f"{step}:{_seen[step]}":
        os.kill(os.getpid(), signal.SIGKILL)
