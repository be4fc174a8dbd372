"""The topic table of `schemas/topics.yaml`, and physical names for a namespace and a pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from freshet.contracts.errors import ContractError
from freshet.contracts.shipped import schemas_dir

SERVE: Final = "serve"
"""The lane that answers: its names are those without any lane."""

EVERY_SERVICE: Final = "services"
"""Among writers or readers: every service there is, also one that another package brings."""

_SERVICE: Final = "{s}"


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
    per_lane: bool = False
    """True where each lane writes to a topic of its own: who reads the serving lane's never sees another's."""
    writers: tuple[str, ...]
    readers: tuple[str, ...]

    @property
    def per_pipeline(self) -> bool:
        """True for data topics, of which every pipeline has its own."""
        return "{p}" in self.name


@cache
def topic_table() -> Mapping[str, Topic]:
    """All topics by role, in the file's order; of a kind of state topics, those of the services that it names."""
    table: dict[str, Topic] = {}
    for role, topic in _stanzas().items():
        owned = [f"{role}/{service}" for service in topic.writers] if _SERVICE in topic.name else [role]
        table.update((role, stanza(role)) for role in owned)
    return table


def stanza(role: str) -> Topic:
    """The stanza of a role. `slabs/join` is that of the kind `slabs`, for the service `join`: each has its own topic.

    Raises ContractError on an unknown role.
    """
    kind, _, service = role.partition("/")
    topic = _stanzas().get(kind)
    if topic is None or bool(service) != (_SERVICE in topic.name):
        raise ContractError(f"no topic has the role {role!r}; schemas/topics.yaml knows {', '.join(_stanzas())}.")
    if not service:
        return topic
    name = topic.name.replace(_SERVICE, service)
    return topic.model_copy(update={"role": role, "name": name, "writers": (service,), "readers": (service,)})


@cache
def _stanzas() -> Mapping[str, Topic]:
    stanzas = yaml.safe_load((schemas_dir() / "topics.yaml").read_text(encoding="utf-8"))
    return {role: Topic(role=role, **stanza) for role, stanza in stanzas.items()}


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Physical names of the topics, groups and transactional ids of one lane of one pipeline in one namespace.

    `namespace` prefixes everything (a tenant or an environment, such as `dev.`); `pipeline` may be empty where only
    control topics are named. Another `lane` than the serving one, such as `shadow`, reads the same inputs in a group of
    its own, and writes its answers elsewhere; neither a pipeline nor a slot can have `@` in its name.
    """

    namespace: str = ""
    pipeline: str = ""
    lane: str = SERVE

    def topic(self, role: str) -> str:
        """Physical name of the role's topic; raises ContractError on an unknown role or a missing pipeline."""
        topic = stanza(role)
        if topic.per_pipeline and not self.pipeline:
            raise ContractError(f"topic {topic.name!r} belongs to a pipeline: name the pipeline.")
        name = self.namespace + topic.name.replace("{p}", self.pipeline)
        return f"{name}.{self.lane}" if topic.per_lane and self.lane != SERVE else name

    def group(self, service: str) -> str:
        """Consumer group of a service on this pipeline."""
        return f"{self.namespace}freshet.{service}.{self._subject}"

    @property
    def reader_group(self) -> str:
        """Group id of whoever reads whole topics without being a member of any group."""
        return f"{self.namespace}freshet.reader"

    def worker(self, service: str, slot: str) -> str:
        """Name of one slot's process among all workers: the key of its state on `freshet.workers`."""
        return "/".join(filter(None, (service, self._subject, slot)))

    def transactional_id(self, service: str, slot: str) -> str:
        """Transactional id of one slot of a service on this pipeline."""
        scope = f".{self._subject}" if self._subject else ""
        return f"{self.namespace}freshet.{service}{scope}.{slot}"

    @property
    def _subject(self) -> str:
        return self.pipeline if self.lane == SERVE else f"{self.pipeline}@{self.lane}"
