"""Strimzi's KafkaTopic and KafkaUser, one for each topic and principal."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from freshet.runtime.rights import PRINCIPALS, Right, rights, user_name
from freshet.runtime.topic_plan import plan_topics

Resource = Mapping[str, Any]

_API: Final = "kafka.strimzi.io/v1"


class Pipeline(NamedTuple):
    """A pipeline's name, and the count of partitions that it is born with."""

    name: str
    partitions: int


def topics(cluster: str, namespace: str, pipelines: Collection[Pipeline]) -> Iterator[Resource]:
    """Every control topic, and every topic of each pipeline, as `freshet topics apply` would make them."""
    for step in plan_topics(namespace, sorted(pipelines), {}):
        spec = {"topicName": step.topic, "partitions": step.partitions, "config": dict(step.configs)}
        yield _resource("KafkaTopic", _legal(step.topic), cluster, spec)


def users(cluster: str, namespace: str, pipelines: Collection[Pipeline]) -> Iterator[Resource]:
    """A user with a password for each principal, who may do what it needs."""
    names = [pipeline.name for pipeline in pipelines]
    for principal in PRINCIPALS:
        acls = [_acl(right) for right in rights(principal, namespace, names)]
        spec = {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": acls},
        }
        yield _resource("KafkaUser", user_name(principal), cluster, spec)


def _acl(right: Right) -> Resource:
    resource = {"type": right.kind, "name": right.name, "patternType": "prefix" if right.prefix else "literal"}
    return {"resource": resource, "operations": [*right.operations]}


def _resource(kind: str, name: str, cluster: str, spec: Resource) -> Resource:
    metadata = {"name": name, "labels": {"strimzi.io/cluster": cluster}}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}


def _legal(topic: str) -> str:
    """A name that Kubernetes takes: it knows neither capitals nor underscores, so `a_b` and `a-b` would be one."""
    return re.sub(r"[^a-z0-9.-]", "-", topic.lower())
