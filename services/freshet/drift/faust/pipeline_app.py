"""The door for stream code of a user's own: a `faust.App` over one pipeline's topics, under which no record is lost."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cache, cached_property, wraps
from typing import Any, Final

import faust
import numpy as np

from freshet.avro import Ragged, Strings
from freshet.avro.control import decode
from freshet.avro.framed import FramedReader
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Message
from freshet.contracts.topic_table import TopicNames, topic_table
from freshet.drift.faust.faust_exit import leave
from freshet.drift.faust.faust_settings import safe_settings
from freshet.drift.faust.strict_driver import correct, end_at_lost_records
from freshet.outcomes.outcome_records import outcomes_of
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.settings import Settings

Agent = Callable[[Any], Any]

_DATA: Final = {"features": "FeatureVector", "labels": "Label", "predictions": "Prediction"}
_MAX_BYTES: Final = 4 << 20


def app(settings: Settings, pipeline: str, name: str = "app") -> "PipelineApp":
    """A Faust app that reads this pipeline's topics: `app.outcomes`, `app.predictions`, `app.alarms` and the others.

    `name` tells apps of one pipeline apart; it is part of the consumer group and of changelog topics. Raises
    SettingsError.
    """
    names = TopicNames(settings.namespace, pipeline)
    bus = KafkaBus(settings.bootstrap_servers, names, extra=settings.kafka)
    made = PipelineApp(names.group(f"faust-{name}"), **safe_settings(settings), topic_allow_declare=True)
    made.serve(bus)
    return made


class PipelineApp(faust.App):  # type: ignore[misc]
    """An agent that raises ends the process with 70 before its record is acknowledged; so does a lost write.

    Values are bytes: a record that cannot be read is the agent's to judge, with ContractError from `columns` or
    `message`. Records may come again after a crash, so keep the next offset in the state and write before you assign.
    """

    _bus: KafkaBus

    def serve(self, bus: KafkaBus) -> None:
        """Which pipeline it is about; called once, before it is started."""
        self._bus = bus
        correct(self)
        end_at_lost_records(self)

    @cached_property
    def outcomes(self) -> faust.Topic:
        """The labelled log: one partition, a record for some rows."""
        return self.of("outcomes")

    @cached_property
    def features(self) -> faust.Topic:
        """Feature vectors, one a record."""
        return self.of("features")

    @cached_property
    def predictions(self) -> faust.Topic:
        """Answers, one a record."""
        return self.of("predictions")

    @cached_property
    def labels(self) -> faust.Topic:
        """Labels, one a record."""
        return self.of("labels")

    @cached_property
    def alarms(self) -> faust.Topic:
        """Alarms of all pipelines; the key is the pipeline."""
        return self.of("alarms")

    @cached_property
    def evaluations(self) -> faust.Topic:
        """Evaluations of all pipelines; the key is the pipeline."""
        return self.of("evaluations")

    def of(self, role: str) -> faust.Topic:
        """The topic of a role of `schemas/topics.yaml`. Raises ContractError if there is none."""
        return self.topic(self._bus.names.topic(role), key_type=bytes, value_type=bytes)

    def columns(self, role: str, values: Sequence[bytes | None]) -> dict[str, Any]:
        """Rows of outcomes, features, predictions or labels as numpy columns by name, in order.

        Text is an object array of str. Raises ContractError if one of the values is none of this role.
        """
        if role == "outcomes":
            return _joined([_outcome_columns(self._bus.names.pipeline, value) for value in values])
        if role not in _DATA:
            raise ContractError(f"{role} has no columns; there are outcomes, {', '.join(_DATA)}.")
        rows = _reader(role).read(values)
        if rows.refused:
            raise ContractError(f"value {rows.refused[0].row} of {role}: {rows.refused[0].detail}")
        return {name: _plain(column) for name, column in rows.columns.items()}

    def message(self, role: str, value: bytes | None) -> Message:
        """The message of a control topic, such as an Alarm. Raises ContractError if it is none."""
        if value is None:
            raise ContractError(f"the record on {role} is a tombstone.")
        return decode(role, value)

    def agent(self, *args: Any, **options: Any) -> Callable[[Agent], faust.Agent]:
        """See Faust; but an exception ends the process, as Faust would acknowledge the record and go on."""
        register = super().agent(*args, **options)
        return lambda agent: register(_ending(agent))

    async def on_start(self) -> None:
        """See Faust. Ends the process where the pipeline's topics are not there: Faust would make them anyhow."""
        lacking = await asyncio.to_thread(self._lacking)
        if lacking:
            leave(
                f"there is no topic {', '.join(lacking)}: `freshet apply -f FOLDER` publishes the pipeline and makes "
                "its topics. If they have other names, look at FRESHET_NAMESPACE."
            )
        await super().on_start()

    def _lacking(self) -> list[str]:
        named = {self._bus.names.topic(role): role for role in topic_table()}
        roles = [named[topic] for topic in self.topics_read() if topic in named]
        return [self._bus.names.topic(role) for role, count in self._bus.partition_counts(roles).items() if not count]

    def topics_read(self) -> list[str]:
        """Names of all topics that its agents read."""
        return [str(agent.channel.get_topic_name()) for agent in self.agents.values()]


@cache
def _reader(role: str) -> FramedReader:
    return FramedReader.of(_DATA[role], max_bytes=_MAX_BYTES)


def _ending(agent: Agent) -> Agent:
    @wraps(agent)
    async def yielding(stream: Any) -> AsyncIterator[Any]:
        try:
            async for result in agent(stream):
                yield result
        except Exception as error:
            leave(f"agent {agent.__name__} raised {error!r}; its record is not acknowledged.")

    @wraps(agent)
    async def plain(stream: Any) -> None:
        try:
            await agent(stream)
        except Exception as error:
            leave(f"agent {agent.__name__} raised {error!r}; its record is not acknowledged.")

    return yielding if inspect.isasyncgenfunction(agent) else plain


def _outcome_columns(pipeline: str, value: bytes | None) -> dict[str, Any]:
    record = outcomes_of(pipeline, value)
    rows = OutcomeRows.of(record)
    columns = {name: getattr(rows, name) for name in OutcomeRows.__slots__ if name != "versions"}
    return {
        **columns,
        "version": np.array(rows.versions, object)[rows.version] if len(rows) else np.array([], object),
        "partition": np.full(len(rows), record.partition),
    }


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _plain(column: Any) -> Any:
    if isinstance(column, Strings):
        return np.array(
            [text.decode() for text in column.tobytes()], object
        )  # numpy's text drops zero bytes at its end
    if isinstance(column, Ragged):
        width = int(column.lengths[0]) if len(column) else 0
        return column.matrix(width) if (column.lengths == width).all() else column
    return np.asarray(column)
