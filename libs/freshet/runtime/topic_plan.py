"""What has to be done to a broker's topics so that they are as `schemas/topics.yaml` says."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from freshet.contracts.duration import Duration
from freshet.contracts.topic_table import Topic, TopicNames, topic_table

Action = Literal["create", "alter", "lacks", "ok", "refuse"]

_FOR_EVER: Final = "-1"
_LEGAL_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")

_STATE_SEGMENT_BYTES: Final = 64 << 20
"""Segments of state topics are small: state is read whole when a partition moves, and the newest segment is neither
compacted nor expired.
"""

_COMPACTED: Final = {
    # clean when a tenth is stale, not half: whoever starts reads the whole topic
    "min.cleanable.dirty.ratio": "0.1",
    # and within the hour in any case, or a quiet topic keeps a retired model's chunks for ever
    "max.compaction.lag.ms": str(Duration.parse("1h").ms),
}
WISHED: Final = frozenset(_COMPACTED)
"""Settings that some managed services refuse or ignore. Without them all is as right, but topics are larger."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it; `configs` are the settings in force, those left at their default among them.

    `replicas` is how many brokers hold the partition that fewest hold; 0 where nobody asked.
    """

    partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)
    topic_id: str = ""
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What one topic needs: `configs` are the settings to create it with, or those to alter; `details` explain.

    `lacks`: it is as it should be, but for settings that are only wished.
    """

    action: Action
    topic: str
    partitions: int
    configs: Mapping[str, str]
    details: str


def plan_topics(namespace: str, pipelines: Sequence[tuple[str, int]], existing: Mapping[str, TopicState]) -> list[Step]:
    """One step for every control topic and every topic of these (pipeline, partitions), in the table's order.

    `existing` is what the broker has, by physical name; other topics in it are not looked at. A topic is never shrunk,
    grown or deleted: that is refused in a sentence. Settings that the table does not name are left as they are. `alter`
    is for somebody to agree to: nothing on a broker tells whether we made the topic, and settings can delete records.
    `lacks` is no more in anybody's way than `ok`.
    """
    return [
        _step(stanza, name, partitions, existing.get(name))
        for stanza, name, partitions in _wanted(namespace, pipelines)
    ]


def topic_names(namespace: str, pipelines: Sequence[tuple[str, int]]) -> list[str]:
    """The physical names of all topics that such a plan is about."""
    return [name for _, name, _ in _wanted(namespace, pipelines)]


def lacking(steps: Sequence[Step]) -> str:
    """What topics of this plan lack of the wished settings, and what follows; empty if they lack nothing."""
    short = [step for step in steps if step.action == "lacks"]
    if not short:
        return ""
    missing = {key: value for step in short for key, value in step.configs.items()}
    topics = f"{len(short)} topics, such as {short[0].topic}, are" if len(short) > 1 else f"{short[0].topic} is"
    return (
        f"{topics} without {_sentence(missing)}, which this cluster refuses or ignores, or another program has "
        "changed. Nothing is lost or wrong by it, but they are compacted later: they take more room on disks, services "
        "read more at their start, and what was deleted or replaced, such as chunks of retired models, stays for longer"
    )


def topic_configs(topic: Topic) -> dict[str, str]:
    """The settings that Kafka is to have for a topic; what is not here stays with the broker's default."""
    configs = {
        "cleanup.policy": topic.cleanup,
        "message.timestamp.type": "LogAppendTime" if topic.timestamps == "broker" else "CreateTime",
    }
    if "delete" in topic.cleanup:
        configs["retention.ms"] = _FOR_EVER if topic.retention is None else str(Duration.parse(topic.retention).ms)
    if "compact" in topic.cleanup:
        configs |= _COMPACTED
    if topic.message == "StateRecord":
        configs["segment.bytes"] = str(_STATE_SEGMENT_BYTES)
    if topic.max_message_bytes is not None:
        configs["max.message.bytes"] = str(topic.max_message_bytes)
    return configs


def _wanted(namespace: str, pipelines: Sequence[tuple[str, int]]) -> Iterator[tuple[Topic, str, int]]:
    for role, stanza in topic_table().items():
        if not stanza.per_pipeline:
            assert isinstance(stanza.partitions, int), role
            yield stanza, TopicNames(namespace).topic(role), stanza.partitions
    for pipeline, partitions in pipelines:
        for role, stanza in topic_table().items():
            if stanza.per_pipeline:
                own = partitions if stanza.partitions == "pipeline" else stanza.partitions
                yield stanza, TopicNames(namespace, pipeline).topic(role), own


def _step(stanza: Topic, name: str, partitions: int, state: TopicState | None) -> Step:
    configs = topic_configs(stanza)
    if not _LEGAL_NAME.fullmatch(name):
        why = "is not a name for a topic: letters, digits, '.', '_' and '-', at most 249. Shorten the namespace."
        return Step("refuse", name, partitions, {}, why)
    if state is None:
        return Step("create", name, partitions, configs, _sentence(configs))
    if state.partitions != partitions:
        return Step("refuse", name, state.partitions, {}, _other_count(stanza, state.partitions, partitions))
    drifted = {key: value for key, value in configs.items() if not _same(value, state.configs.get(key))}
    if drifted:
        was = {key: state.configs.get(key, "unset") for key in drifted}
        action: Action = "lacks" if drifted.keys() <= WISHED else "alter"
        return Step(action, name, partitions, drifted, f"{_sentence(drifted)} (was {_sentence(was)})")
    return Step("ok", name, partitions, {}, "")


def _other_count(stanza: Topic, has: int, wanted: int) -> str:
    grown = "somebody has grown it or made it" if has > wanted else "somebody else made it"
    counts = f"has {has} partitions, not {wanted}: {grown}"
    if stanza.per_pipeline:
        return (
            f"{counts}, and a pipeline's count is fixed at birth, as entities would move to other partitions, and lose "
            "their order, their labels and their place in a rollout. Start a new pipeline with the count you want."
        )
    return (
        f"{counts}, and a control topic is one log with one order. Give this installation a namespace of its own, or "
        "delete the topic if nothing uses it."
    )


def _same(wanted: str, found: str | None) -> bool:
    """Kafka keeps `cleanup.policy` as a list, in the order it was given."""
    return found is not None and sorted(wanted.split(",")) == sorted(found.split(","))


def _sentence(configs: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in configs.items())
