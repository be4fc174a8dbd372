"""Looks after a cluster's consumer groups: which there are, who is in them, and their end."""

from collections.abc import Collection
from typing import Final, NamedTuple

from confluent_kafka import KafkaError

from freshet.runtime.bus.kafka.admin import KafkaAdmin, unless

_NO_GROUP: Final = frozenset({KafkaError.GROUP_ID_NOT_FOUND})


class Member(NamedTuple):
    """A member of a consumer group; `instance` is the name of its fixed slot, empty if it has none."""

    instance: str
    client: str
    host: str


class KafkaGroups(KafkaAdmin):
    """An administrator's view of one cluster and its consumer groups; see `KafkaAdmin`."""

    def groups(self, prefix: str) -> list[str]:
        """All consumer groups whose name begins like this, sorted."""
        with self._explained("listing groups"):
            found = self._client.list_consumer_groups(request_timeout=self._timeout_s).result()
        return sorted(group.group_id for group in found.valid if group.group_id.startswith(prefix))

    def members(self, group: str) -> list[Member]:
        """The members that the broker counts to a group: a fixed slot stays one for 30 s after its process has ended.

        An absent group has none.
        """
        with self._explained(f"describing group {group}"):
            found = self._client.describe_consumer_groups([group], request_timeout=self._timeout_s)[group].result()
        return [Member(one.group_instance_id or "", one.client_id, one.host.lstrip("/")) for one in found.members]

    def delete_groups(self, groups: Collection[str]) -> list[str]:
        """Delete groups with their offsets; those that still have members, which are left as they are."""
        left = []
        with self._explained("deleting groups"):
            answers = self._client.delete_consumer_groups([*groups], request_timeout=self._timeout_s) if groups else {}
            for group, answer in answers.items():
                if unless(_NO_GROUP | {KafkaError.NON_EMPTY_GROUP}, answer) == KafkaError.NON_EMPTY_GROUP:
                    left.append(group)
        return sorted(left)
