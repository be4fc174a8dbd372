"""Drift as services: `freshet run drift` runs all of them in one process, `freshet run drift-join` one alone."""

from importlib.util import find_spec
from typing import Final

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.logic import Logic
from freshet.contracts.messages import Alarm, Message, Outcomes
from freshet.contracts.profile_messages import Frame
from freshet.drift.core.compare import CompareLogic
from freshet.drift.core.detect import DetectLogic
from freshet.drift.core.evaluate import EvaluateLogic
from freshet.drift.core.join.logic import JoinLogic
from freshet.drift.core.join.told import Told
from freshet.drift.core.profile.profile_logic import ProfileLogic
from freshet.drift.core.profile.profile_rows import KINDS
from freshet.models.memory import limit_bytes
from freshet.outcomes.outcome_records import OUTCOMES
from freshet.profiles.frame_records import PROFILES
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.service import Context, DataService, Suite
from freshet.runtime.settings import SettingsError
from freshet.runtime.summaries import Summary, Summed

_MEMORY_SHARE: Final = 2
"""The join may take so small a part of the memory that the machine, or the container's limit, leaves it: 1 of 2."""


def _join(context: Context) -> Logic:
    return JoinLogic(context.names.pipeline, most_bytes=limit_bytes() // _MEMORY_SHARE)


def _summed(message: Message) -> Summed:
    assert isinstance(message, Outcomes)
    return Summed(
        message.pipeline,
        message.partition,
        message.inputs,
        Told.in_record(message).text,
        topic_ids=message.input_topics,
        plan=message.number if message.number_from else 0,
        plan_first=message.number_from,
        since=message.state_from,
    )


JOIN: Final = DataService(
    name="drift-join",
    logic=_join,
    references=(),
    summary=Summary("outcomes", _summed),
    # All workers write to one partition: a dead one's open transaction hides everybody's outcomes.
    transaction_timeout_ms=5_000,
    assignor="range",
)


def _evaluated(message: Message) -> Summed:
    """All evaluations up to a record of the log stand beside its offset: it goes on behind the newest of them."""
    assert isinstance(message, Evaluation)
    return Summed(message.pipeline, 0, {OUTCOMES: message.through + 1}, "", {OUTCOMES: message.outcomes_topic})


EVALUATE: Final = DataService(
    name="drift-evaluate",
    logic=lambda context: EvaluateLogic(context.names.pipeline),
    references=(),
    summary=Summary("evaluations", _evaluated),
)


def _detect(context: Context) -> Logic:
    return _needs_river(DetectLogic(context.names.pipeline))


def _needs_river(logic: Logic) -> Logic:
    """And scipy, which comes with it."""
    if find_spec("river") is None:
        raise SettingsError("detectors need river, which is not installed: pip install 'freshet[drift]'.")
    return logic


def _engine(context: Context, state_role: str) -> Bus:
    """The bus of a service that follows one log of one partition, and keeps its state there."""
    if context.settings.drift_engine == "loop":
        return context.bus
    from freshet.drift.faust.faust_bus import FaustBus  # noqa: PLC0415 - an extra, which most do not install

    return FaustBus(context, state_role)


def _alarmed(message: Message) -> Summed | None:
    """All alarms up to a record of the log stand beside its offset, too."""
    assert isinstance(message, Alarm)
    if message.watched != OUTCOMES:
        return None
    return Summed(message.pipeline, 0, {OUTCOMES: message.through + 1}, "", {OUTCOMES: message.outcomes_topic})


DETECT: Final = DataService(
    name="drift-detect",
    logic=_detect,
    references=(),
    bus=lambda context: _engine(context, DetectLogic.kept.role),
    summary=Summary("alarms", _alarmed),
)

_PROFILED: Final = {kind: role for role, kind in KINDS.items()}


def _framed(message: Message) -> Summed:
    """A frame says how far its own input was read."""
    assert isinstance(message, Frame)
    role = _PROFILED[message.kind]
    ends, topics = {role: message.to_offset}, {role: message.topic}
    return Summed(message.pipeline, message.partition, ends, "", topics, since=message.state_from)


PROFILE: Final = DataService(
    name="drift-profile",
    logic=lambda context: ProfileLogic(context.names.pipeline),
    references=(),
    summary=Summary("profiles", _framed),
    # As the join's: all workers write to one partition.
    transaction_timeout_ms=5_000,
    assignor="range",
)


def _compared(message: Message) -> Summed | None:
    """All alarms up to a frame stand beside its offset."""
    assert isinstance(message, Alarm)
    if message.watched == OUTCOMES:
        return None
    return Summed(message.pipeline, 0, {PROFILES: message.through + 1}, "", {PROFILES: message.profiles_topic})


COMPARE: Final = DataService(
    name="drift-compare",
    logic=lambda context: _needs_river(CompareLogic(context.names.pipeline)),
    references=(),
    bus=lambda context: _engine(context, CompareLogic.kept.role),
    summary=Summary("alarms", _compared),
)

SERVICE: Final = Suite("drift", (JOIN, EVALUATE, DETECT, PROFILE, COMPARE))
