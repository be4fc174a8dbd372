"""What each principal may do on Kafka: what schemas/topics.yaml says that it reads and writes, and nothing else."""

from collections.abc import Collection, Iterator
from typing import Final, Literal, NamedTuple

from freshet.contracts.topic_table import EVERY_SERVICE, Topic, TopicNames, topic_table

Kind = Literal["topic", "group", "transactionalId"]


class Right(NamedTuple):
    """Operations on a thing of this name, or on all whose names begin so."""

    kind: Kind
    name: str
    operations: tuple[str, ...]
    prefix: bool = False

    @property
    def shown_kind(self) -> str:
        """The kind, in words."""
        return "transactional id" if self.kind == "transactionalId" else self.kind

    @property
    def shown_name(self) -> str:
        """The name, with a star behind it where all names are meant that begin so."""
        return f"{self.name}*" if self.prefix else self.name


_MEMBERS: Final = {
    "ingestion": ("ingestion",),
    "inference": ("inference",),
    "drift": ("drift-join", "drift-evaluate", "drift-detect", "drift-profile", "drift-compare"),
}
"""Services whose processes share the partitions, each with the parts that it consists of."""
_OWNERS: Final = ("registry", "retraining")
"""Services that decide alone, under one transactional id."""
_EDGE: Final = ("console", "gateway", "webhook", "subjects")
"""Services at the edge, which answer no records and have no place in the pipelines."""
_OTHERS: Final = (*_EDGE, "cli", "observe", "producers", "consumers")

PRINCIPALS: Final = (*_MEMBERS, *_OWNERS, *_OTHERS)
"""Who has a user of its own: services, whoever types commands or only looks, and applications on either side."""
_OPERATORS: Final = ("cli", "console")
"""Who sends dead letters through the pipeline once more: under the transactional ids of the command line."""
_LOOKING: Final = (*_OPERATORS, "observe")
"""Who tells how far the groups of all services have come."""


def user_name(principal: str) -> str:
    """The user that Kafka knows a principal by, unless somebody gives it another one."""
    return f"freshet-{principal}"


def rights_of_users(namespace: str, pipelines: Collection[str]) -> dict[str, list[Right]]:
    """All rights of all principals, by the user that each of them is."""
    return {user_name(principal): rights(principal, namespace, pipelines) for principal in PRINCIPALS}


def rights(principal: str, namespace: str, pipelines: Collection[str]) -> list[Right]:
    """All that the principal needs for these pipelines, in a fixed order. Whoever may READ or WRITE may DESCRIBE, too.

    `cli` may apply and send commands where topics exist; it may not make, alter or delete any: here Strimzi does that.
    """
    return [*_on_topics(principal, namespace, pipelines), *_on_groups(principal, namespace, pipelines)]


def _on_topics(principal: str, namespace: str, pipelines: Collection[str]) -> Iterator[Right]:
    for role, topic in topic_table().items():
        operations = tuple(_operations(principal, topic))
        if operations:
            owners = sorted(pipelines) if topic.per_pipeline else [""]
            for pipeline in owners:
                yield Right("topic", TopicNames(namespace, pipeline).topic(role), operations)


def _operations(principal: str, topic: Topic) -> Iterator[str]:
    roles = {*_MEMBERS.get(principal, (principal,))}
    if principal not in _OTHERS:
        roles.add(EVERY_SERVICE)
    if roles & {*topic.readers}:
        yield "Read"
    if roles & {*topic.writers}:
        yield "Write"
    # a writer asks how large a record the topic takes; `apply` compares all topics with what they should be
    if principal == "cli" or (principal != "producers" and roles & {*topic.writers}):
        yield "DescribeConfigs"
    # operators ask how long every topic is
    if principal in _OPERATORS and not roles & {*topic.readers, *topic.writers}:
        yield "Describe"


def _on_groups(principal: str, namespace: str, pipelines: Collection[str]) -> Iterator[Right]:
    names = TopicNames(namespace)
    if principal == "consumers":
        yield Right("group", f"{namespace}consumers.", ("Read",), prefix=True)
    if principal in ("producers", "consumers"):
        return
    yield Right("group", names.reader_group, ("Read",))
    if principal in _OWNERS:
        yield Right("transactionalId", names.transactional_id(principal, "owner"), ("Write",))
    if principal in _LOOKING:
        yield Right("group", f"{namespace}freshet.", ("Describe",), prefix=True)
    if principal in _OPERATORS:
        yield Right("transactionalId", names.transactional_id("cli", ""), ("Write",), prefix=True)
    if principal == "webhook":  # each bridge has a group named after it
        yield Right("group", names.group("webhook"), ("Read",), prefix=True)
        yield Right("transactionalId", names.transactional_id("webhook", ""), ("Write",), prefix=True)
    for part in _MEMBERS.get(principal, ()):
        for own in (TopicNames(namespace, pipeline) for pipeline in sorted(pipelines)):
            yield Right("group", own.group(part), ("Read",))
            yield Right("transactionalId", own.transactional_id(part, ""), ("Write",), prefix=True)
