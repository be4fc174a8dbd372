"""Gives the users of a cluster their passwords and rights; whoever asks here must be allowed to change both."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.rights import Right

_SCRAM: Final = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
_KINDS: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS: Final = {one.name.replace("_", "").lower(): one for one in AclOperation}
_ANYWHERE: Final = "*"
_EVERY: Final[tuple[Any, ...]] = (
    ResourceType.ANY,
    None,
    ResourcePatternType.ANY,
    None,
    None,
    AclOperation.ANY,
    AclPermissionType.ANY,
)

Rights = Mapping[str, Collection[Right]]
"""What each user may do."""


class KafkaGrants(KafkaAdmin):
    """An administrator's view of one cluster, and of who may do what there; see `KafkaAdmin`."""

    def set_passwords(self, passwords: Mapping[str, str]) -> None:
        """Make these users, or give those that are there another password (SCRAM-SHA-512)."""
        wanted: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(user, _SCRAM, text.encode()) for user, text in passwords.items()
        ]
        with self._explained("setting passwords"):
            answers = self._client.alter_user_scram_credentials(wanted, request_timeout=self._timeout_s)
            for answer in answers.values():
                answer.result()

    def grant(self, rights: Rights) -> None:
        """Let each user do what it is given here, too, and wait until that is in force. Idempotent."""
        wanted = [AclBinding(*entry) for entry in _entries(rights)]
        if not wanted:
            return
        with self._explained("granting rights"):
            for answer in self._client.create_acls(wanted, request_timeout=self._timeout_s).values():
                answer.result()
        self._wait(lambda: set(wanted) <= self._in_force(), "granting rights")

    def revoke(self, rights: Rights) -> None:
        """Take these rights back. What was not granted is no error."""
        unwanted = [AclBindingFilter(*entry) for entry in _entries(rights)]
        if not unwanted:
            return
        with self._explained("taking rights back"):
            for answer in self._client.delete_acls(unwanted, request_timeout=self._timeout_s).values():
                answer.result()

    def _in_force(self) -> set[AclBinding]:
        with self._explained("reading rights"):
            return set(self._client.describe_acls(AclBindingFilter(*_EVERY), request_timeout=self._timeout_s).result())


def _entries(rights: Rights) -> Iterator[tuple[Any, ...]]:
    """What the client makes an entry of the access list of, or a search for exactly that entry."""
    for user, given in rights.items():
        for right in given:
            how = ResourcePatternType.PREFIXED if right.prefix else ResourcePatternType.LITERAL
            for operation in right.operations:
                may = _OPERATIONS[operation.lower()]
                yield _KINDS[right.kind], right.name, how, f"User:{user}", _ANYWHERE, may, AclPermissionType.ALLOW
