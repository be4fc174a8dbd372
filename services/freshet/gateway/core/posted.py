"""What a request says: rows from a body, and how long its sender waits."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from freshet.gateway.core.limits import EVENT_BYTES, ROWS, WAIT_MS, too_large
from freshet.gateway.core.refused import RefusedRequestError


@dataclass(frozen=True, slots=True)
class Posted:
    """The rows of a body."""

    rows: Sequence[Any]
    is_list: bool
    """Whether the body was an array: then so is the answer."""


def posted(body: bytes) -> Posted:
    """One JSON object, or an array of them. Raises RefusedRequestError (400)."""
    try:
        found = json.loads(
            body, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_each_name_once
        )
    except (ValueError, RecursionError) as error:
        raise RefusedRequestError(400, "bad_json", f"The body is no JSON: {error}.") from error
    if isinstance(found, Mapping):
        return Posted([found], False)
    if not isinstance(found, list):
        raise RefusedRequestError(400, "bad_json", "The body must be a JSON object, or an array of objects.")
    if not 1 <= len(found) <= ROWS:
        raise RefusedRequestError(
            400, "bad_count", f"The array has {len(found):,} objects; it must have 1 to {ROWS:,}: send it in parts."
        )
    return Posted(found, True)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value; write null where there is none")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.50} is larger than any number that can be held")
    return number


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values for one name, programs on the way may take the other one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {twice!a:.100} stands in one object more than once")
    return found


def wait_s(text: str | None) -> float:
    """How long to wait for the answer, from `?wait=MS`; 0 for not at all. Raises RefusedRequestError (400)."""
    if text is None:
        return 0.0
    if not (text.isascii() and text.isdecimal() and len(text) < 8) or int(text) > WAIT_MS:
        raise RefusedRequestError(
            400, "bad_wait", f"wait is {text!r:.50}; it must be whole milliseconds from 0 to {WAIT_MS:,}.", field="wait"
        )
    return int(text) / 1000


def check_sizes(keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    """Raises RefusedRequestError (413) for a record that its topic might not take."""
    largest = max(len(key) + len(value) for key, value in zip(keys, values, strict=True))
    if largest > EVENT_BYTES:
        raise too_large("An event, as Kafka would get it,", largest, EVENT_BYTES)
