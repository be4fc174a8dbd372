"""Brings a cluster's topics to what `schemas/topics.yaml` says."""

from collections.abc import Callable, Sequence

from freshet.contracts.errors import ContractError
from freshet.runtime.bus.kafka.admin import BROKER_DEFAULT, KafkaAdmin
from freshet.runtime.topic_plan import Step, plan_topics, topic_names


class TopicConflictError(ContractError):
    """Topics that are there already, and that must not be changed into what is wanted."""


def plan(admin: KafkaAdmin, namespace: str, pipelines: Sequence[tuple[str, int]]) -> list[Step]:
    """What has to be done for the control topics and the topics of these (pipeline, partitions). Changes nothing."""
    return plan_topics(namespace, pipelines, admin.describe(topic_names(namespace, pipelines)))


def provision(
    admin: KafkaAdmin,
    namespace: str,
    pipelines: Sequence[tuple[str, int]],
    *,
    replication_factor: int = BROKER_DEFAULT,
    adopt: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> list[Step]:
    """Carry out the plan, and return it. Idempotent: topics that are as they should be are not touched.

    A topic that is there and has other settings is altered only with `adopt`: nobody can tell whether it is ours, and
    what a shorter retention or another cleanup policy deletes is gone. `say` is told each change first. Raises
    TopicConflictError, having changed nothing, if a topic is refused or would have to be altered.
    """
    steps = plan(admin, namespace, pipelines)
    refuse_conflicts(steps, adopt=adopt)
    for step in steps:
        if step.action == "create":
            say(f"creating {step.topic} with {step.partitions} partition{'s' if step.partitions > 1 else ''}")
            admin.create(step.topic, step.partitions, step.configs, replication_factor=replication_factor)
        elif step.action == "alter":
            say(f"altering {step.topic}: {step.details}")
            admin.alter(step.topic, step.configs)
    return steps


def refuse_conflicts(steps: Sequence[Step], *, adopt: bool) -> None:
    """Raise TopicConflictError if a topic of this plan is refused, or would have to be altered without `adopt`."""
    by_reason: dict[str, list[str]] = {}
    for step in steps:
        if step.action == "refuse":
            by_reason.setdefault(step.details, []).append(step.topic)
    refused = [f"{', '.join(topics)}: {why}" for why, topics in by_reason.items()]
    differing = [f"{step.topic}: {step.details}" for step in steps if step.action == "alter" and not adopt]
    if differing:
        refused += [
            "Topics are there with other settings, which are not changed unasked:",
            *differing,
            "If they are meant for this pipeline, --adopt changes them; records that the new settings do not keep are "
            "then deleted. If they are somebody's, take another name for the pipeline, or a namespace.",
        ]
    if refused:
        raise TopicConflictError("\n".join(refused))
