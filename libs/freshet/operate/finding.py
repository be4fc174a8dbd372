"""What a look at something found: how it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Health = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: what was looked at, how it is, what was seen, and what to do about it."""

    about: str
    health: Health
    seen: str
    do: str = ""
