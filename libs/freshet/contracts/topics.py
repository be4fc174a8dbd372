"""The topic table of `schemas/topics.yaml`, and physical names for a namespace and a pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from freshet.contracts.errors import ContractError
from freshet.contracts.resources import schemas_dir


class Topic(BaseModel):
    """One stanza of `schemas/topics.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str
    name: str
    message: str
    key: str
    partitions: int | Literal["pipeline"]
    cleanup: Literal["delete", "compact", "compact,delete"]
    retention: str | None = None
    timestamps: Literal["broker", "producer"] = "producer"
    max_message_bytes: int | None = None
    writers: tuple[str, ...]
    readers: tuple[str, ...]

    @property
    def per_pipeline(self) -> bool:
        """True for data topics, of which every pipeline has its own."""
        return "{p}" in self.name


@cache
def topic_table() -> Mapping[str, Topic]:
    """All topics by role, in the file's order."""
    stanzas = yaml.safe_load((schemas_dir() / "topics.yaml").read_text())
    return {role: Topic(role=role, **stanza) for role, stanza in stanzas.items()}


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Physical names of topics, groups and transactional ids, as one pipeline in one namespace sees them.

    `namespace` prefixes everything (a tenant or an environment, such as `dev.`); `pipeline` may be empty where only
    control topics are named.
    """

    namespace: str = ""
    pipeline: str = ""

    def topic(self, role: str) -> str:
        """Physical name of the role's topic; raises ContractError on an unknown role or a missing pipeline."""
        table = topic_table()
        if role not in table:
            raise ContractError(f"no topic has the role {role!r}; schemas/topics.yaml knows {', '.join(table)}.")
        topic = table[role]
        if topic.per_pipeline and not self.pipeline:
            raise ContractError(f"topic {topic.name!r} belongs to a pipeline: name the pipeline.")
        return self.namespace + topic.name.replace("{p}", self.pipeline)

    def group(self, service: str) -> str:
        """Consumer group of a service on this pipeline."""
        return f"{self.namespace}freshet.{service}.{self.pipeline}"

    @property
    def reader_group(self) -> str:
        """Group id of whoever reads whole topics without being a member of any group."""
        return f"{self.namespace}freshet.reader"

    def worker(self, service: str, slot: str) -> str:
        """Name of one slot's process among all workers: the key of its state on `freshet.workers`."""
        return f"{service}/{self.pipeline}/{slot}"

    def transactional_id(self, service: str, slot: str) -> str:
        """Transactional id of one slot of a service on this pipeline."""
        scope = f".{self.pipeline}" if self.pipeline else ""
        return f"{self.namespace}freshet.{service}{scope}.{slot}"
