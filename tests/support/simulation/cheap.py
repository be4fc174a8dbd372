"""What thousands of runs have in common is made once: parsed schemas, their decoders, and decoded control records.

None of it has a state that a run could leave behind for the next one: schemas and messages never change.
"""

import gc
import json
import logging
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from typing import Any, TypeVar

import pytest
import structlog

from freshet import avro as codec
from freshet.avro.control import decode
from freshet.avro.framed import FramedReader
from freshet.avro.parsing import parse
from freshet.avro.plan import plan_of
from freshet.pipeline import PipelineSpec
from freshet.runtime import feed, transaction

A = TypeVar("A")
R = TypeVar("R")


@contextmanager
def cheaply() -> Iterator[None]:
    """Parse and decode each text once for all runs, log nothing, and collect garbage seldom: as dear as all else."""
    logs, thresholds = structlog.get_config(), gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PipelineSpec, "parse", cache(PipelineSpec.parse))
        patch.setattr(FramedReader, "of", cache(FramedReader.of))
        for part in (codec.decode, codec.encode):
            patch.setattr(part, "parse", _once(parse, _text))
            patch.setattr(part, "plan_of", _once(plan_of, id))
        patch.setattr(feed, "decode", cache(decode))
        patch.setattr(transaction, "version", cache(metadata.version))
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        gc.set_threshold(50_000, 20, 100)
        try:
            yield
        finally:
            gc.set_threshold(*thresholds)
            structlog.configure(**logs)


def _text(schema: Mapping[str, Any] | str) -> str:
    return schema if isinstance(schema, str) else json.dumps(schema)


def _once(make: Callable[[A], R], key: Callable[[A], Hashable]) -> Callable[[A], R]:
    """`make`, called once for each key. What it was made of is kept too, so that an `id` stays its own."""
    made: dict[Hashable, tuple[A, R]] = {}

    def known(of: A) -> R:
        at = key(of)
        if at not in made:
            made[at] = (of, make(of))
        return made[at][1]

    return known
