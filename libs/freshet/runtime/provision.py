"""Brings a cluster's topics to what `schemas/topics.yaml` says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations

from freshet.contracts.errors import ContractError
from freshet.runtime.bus.kafka.admin import BROKER_DEFAULT, KafkaAdmin
from freshet.runtime.bus.kafka.admin_errors import SettingRefusedError, UnseenError
from freshet.runtime.topic_plan import WISHED, Step, lacking, plan_topics, topic_names


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
    what a shorter retention or another cleanup policy deletes is gone. `say` is told each change first, and at the end
    of wished settings that topics lack, since the cluster refuses or ignores them. Raises TopicConflictError, having
    changed nothing, if a topic is refused or would have to be altered.
    """
    steps = plan(admin, namespace, pipelines)
    refuse_conflicts(steps, adopt=adopt)
    due = [step for step in steps if step.action == "create" or (adopt and step.action in ("alter", "lacks"))]
    for step in due:
        if step.action == "create":
            say(f"creating {step.topic} with {step.partitions} partition{'s' if step.partitions > 1 else ''}")
            create_topic(admin, step.topic, step.partitions, step.configs, replication_factor)
        else:
            say(f"altering {step.topic}: {step.details}")
            _alter(admin, step)
    if short := lacking(plan(admin, namespace, pipelines) if due else steps):
        say(f"warning: {short}.")
    return steps


def create_topic(
    admin: KafkaAdmin,
    topic: str,
    partitions: int,
    configs: Mapping[str, str],
    replication_factor: int = BROKER_DEFAULT,
) -> None:
    """Create a topic with these settings, but without those of the wished ones that the cluster refuses.

    Raises as `KafkaAdmin.create`.
    """
    _granted(configs, lambda kept: admin.create(topic, partitions, kept, replication_factor=replication_factor))


def _alter(admin: KafkaAdmin, step: Step) -> None:
    needed = {key: value for key, value in step.configs.items() if key not in WISHED}
    if needed:
        admin.alter(step.topic, needed)
    wished = {key: value for key, value in step.configs.items() if key in WISHED}
    with suppress(UnseenError):  # taken and ignored; whoever looks at the topic afterwards sees it
        _granted(wished, lambda kept: admin.alter(step.topic, kept) if kept else None)


def _granted(configs: Mapping[str, str], attempt: Callable[[Mapping[str, str]], None]) -> None:
    """Attempt it with all of these settings, and where they are refused with fewer and fewer of the wished ones."""
    for kept in _choices(configs):
        try:
            return attempt(kept)
        except SettingRefusedError as error:
            refused = error
    raise refused


def _choices(configs: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    wished = [key for key in configs if key in WISHED]
    for count in range(len(wished) + 1):
        for left_out in combinations(wished, count):
            yield {key: value for key, value in configs.items() if key not in left_out}


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
