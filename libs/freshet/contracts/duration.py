"""Lengths of time as people write them: `7d`, `90s`, `250ms`."""

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import core_schema

_FORM = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS: Final = 3650 * _MS["d"]  # ten years; keeps sums with timestamps far from the end of int64


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in whole milliseconds."""

    ms: int

    @classmethod
    def parse(cls, text: object) -> "Duration":
        """Read `7d`, `12h`, `10m`, `90s` or `250ms`; raises ValueError on anything else, and above ten years."""
        if isinstance(text, Duration):
            return text
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(
                f"{text!r} is not a duration; write a whole number and a unit, such as 250ms, 90s, 10m or 7d"
            )
        ms = int(found[1]) * _MS[found[2]]
        if ms > _LONGEST_MS:
            raise ValueError(f"{text} is longer than ten years")
        return cls(ms)

    def __str__(self) -> str:
        unit = next(unit for unit in ("d", "h", "m", "s", "ms") if self.ms % _MS[unit] == 0)
        return f"{self.ms // _MS[unit]}{unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=core_schema.to_string_ser_schema())
