"""How long decoding and encoding take: whoever brings a clock is told. This library has none of its own."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class CodecTime:
    """Seconds that were spent, by a clock that returns seconds."""

    clock: Callable[[], float]
    decode_s: float = 0.0
    encode_s: float = 0.0
    inside: bool = False
    """Whether a codec is at work: one that calls another is counted once."""


_TIME: ContextVar[CodecTime | None] = ContextVar("codec_time", default=None)


@contextmanager
def codec_timed(clock: Callable[[], float]) -> Iterator[CodecTime]:
    """What decoding and encoding take within this block, in this thread."""
    time = CodecTime(clock)
    token = _TIME.set(time)
    try:
        yield time
    finally:
        _TIME.reset(token)


def timed(step: Literal["decode", "encode"]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates what decodes or encodes many records at once: where nobody wants to know, it costs one look-up."""

    def decorated(codec: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(codec)
        def run(*arguments: P.args, **options: P.kwargs) -> R:
            time = _TIME.get()
            if time is None or time.inside:
                return codec(*arguments, **options)
            time.inside, began_s = True, time.clock()
            try:
                return codec(*arguments, **options)
            finally:
                took_s, time.inside = time.clock() - began_s, False
                if step == "decode":
                    time.decode_s += took_s
                else:
                    time.encode_s += took_s

        return run

    return decorated
