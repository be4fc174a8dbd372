"""A real Kafka that asks who you are and what you may: SASL/PLAIN and the StandardAuthorizer."""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from freshet.lab import broker, server_files
from freshet.lab.ports import free_port
from freshet.operate.broker_record import LOOPBACK
from tools.strimzi import rights

_USERS: Final = 60
_PASSWORD: Final = "of-a-test"
_SETTLE_S: Final = 0.5  # rights are in force a moment after they were granted

_SETTINGS: Final = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
# Whoever comes in by the other listener: the test, and the broker itself.
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
"""


class Right(NamedTuple):
    """One thing that a user may do."""

    operation: str
    kind: str
    """topic, group or transactional id"""
    name: str
    prefix: bool = False
    """Whether it is about all whose names begin so."""


def granted(principal: str, namespace: str) -> list[Right]:
    """What the tool for Strimzi gives this principal for the pipeline loans."""
    kinds = {"transactionalId": "transactional id"}
    capitals = {"DescribeConfigs": "DESCRIBE_CONFIGS"}
    return [
        Right(capitals.get(operation, operation.upper()), kinds.get(right.kind, right.kind), right.name, right.prefix)
        for right in rights(principal, namespace, ["loans"])
        for operation in right.operations
    ]


@dataclass
class SecuredKafka:
    """A broker with two doors: `open_servers` asks nothing, `servers` asks for a user and looks up the rights."""

    open_servers: str
    servers: str
    _used: int = field(default=0)

    def user(self, rights: Collection[Right]) -> Mapping[str, str]:
        """A user nobody had before, who may do this and nothing else: client settings for it."""
        name = f"u{self._used}"
        self._used += 1
        assert self._used <= _USERS, "name more users in the broker's settings"
        admin = AdminClient({"bootstrap.servers": self.open_servers})
        if bindings := [_binding(name, right) for right in rights]:
            for answer in admin.create_acls(bindings).values():
                answer.result(10)
        time.sleep(_SETTLE_S)
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": name,
            "sasl.password": _PASSWORD,
        }


def _binding(user: str, right: Right) -> AclBinding:
    kinds = {
        "topic": ResourceType.TOPIC,
        "group": ResourceType.GROUP,
        "transactional id": ResourceType.TRANSACTIONAL_ID,
    }
    return AclBinding(
        kinds[right.kind],
        right.name,
        ResourcePatternType.PREFIXED if right.prefix else ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[right.operation],
        AclPermissionType.ALLOW,
    )


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Started for one module of tests, and deleted at its end. Always our own: a user's Kafka has its own rights."""
    root, port = tmp_path_factory.mktemp("secured"), free_port()
    environ = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}
    users = " ".join(f'user_u{number}="{_PASSWORD}"' for number in range(_USERS))
    door = f"SASL://{{loopback}}:{port},CONTROLLER://"
    settings = server_files._SERVER_PROPERTIES.replace("CONTROLLER://", door)
    settings = settings.replace("protocol.map=", "protocol.map=SASL:SASL_PLAINTEXT,") + _SETTINGS.format(users=users)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_files, "_SERVER_PROPERTIES", settings)
        try:
            endpoint = broker.up(root, say=print, environ=environ)
            yield SecuredKafka(endpoint.bootstrap_servers, f"{LOOPBACK}:{port}")
        finally:
            broker.wipe(root, environ=environ)
