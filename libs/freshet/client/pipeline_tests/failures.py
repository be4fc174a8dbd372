"""What a failed test says."""

from typing import NamedTuple


class Failure(NamedTuple):
    """One thing that is not as the test wants it."""

    case: str
    what: str
    advice: str
    """What to do about it."""
