"""Drift as services: `freshet run drift` runs all of them in one process, `freshet run drift-join` one alone."""

import os
from typing import Final

from freshet.contracts.logic import Logic
from freshet.contracts.messages import Message, Outcomes
from freshet.drift.core.join.logic import JoinLogic
from freshet.drift.core.join.told import Told
from freshet.runtime.recovery import Summary, Summed
from freshet.runtime.service import Context, DataService, Suite

_MEMORY_SHARE: Final = 2
"""The join may take so small a part of the machine's memory: 1 of 2."""


def _join(context: Context) -> Logic:
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return JoinLogic(context.names.pipeline, most_bytes=memory_bytes // _MEMORY_SHARE)


def _summed(message: Message) -> Summed:
    assert isinstance(message, Outcomes)
    return Summed(message.pipeline, message.partition, message.inputs, Told.in_record(message).text)


JOIN: Final = DataService(
    name="drift-join",
    logic=_join,
    references=(),
    summary=Summary("outcomes", _summed),
    # All workers write to one partition: a dead one's open transaction hides everybody's outcomes.
    transaction_timeout_ms=5_000,
    assignor="range",
)

SERVICE: Final = Suite("drift", (JOIN,))
