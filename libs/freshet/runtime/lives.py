"""The topic id of each input: a topic that is deleted and made anew has the same name and another id.

The client library goes on in the new topic at the old one's position and reports nothing: a consumer at offset 5 was
given row 5 of the new topic half a second after it was made (librdkafka 2.16, Kafka 4.2.1 and 4.3.1). So the broker is
asked for the id once for each batch, after the batch was read and before it is committed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from freshet.contracts.position import stamped
from freshet.runtime.bus.protocol import Bus, Committed, FatalError, Place, RetriableError, TopicIds


class Lives:
    """The ids of the input topics as this process knows them. One that changes ends the process.

    Its successor starts afresh in the new topic, with clients that remember nothing of the old one.
    """

    def __init__(
        self, bus: Bus, roles: Sequence[str], tell: Callable[[str, str], None], looks_up: Sequence[str] = ()
    ) -> None:
        """`tell` is called with each role and its id, once, as soon as it is known.

        What a logic `looks_up` is read with every batch, so these roles belong to whatever is asked about.
        """
        self._bus, self._roles, self._tell = bus, (*roles, *looks_up), tell
        self._looks_up = frozenset(looks_up)
        self.known: dict[str, str] = {}
        """The topic id of each role that was learnt."""
        self._asked: TopicIds | None = None

    def learn(self, roles: Collection[str]) -> None:
        """Know the ids of these roles' topics as of now. Raises FatalError if one was made anew, RetriableError."""
        if roles:
            needed = self._looks_up.union(roles)
            self._check(self._bus.ask_topic_ids(sorted(needed))(), needed)

    def ask(self) -> None:
        """Ask for all ids, and do not wait."""
        self._asked = self._bus.ask_topic_ids(self._roles)

    def confirmed(self, offsets: Mapping[Place, Committed]) -> dict[Place, Committed]:
        """These offsets, stamped, once the answer to `ask` shows that what was read before it is of the known topics.

        Raises FatalError if one was made anew, RetriableError if that cannot be known.
        """
        assert self._asked is not None, "ask() comes first"
        ids = self._asked()
        if ids != self.known:
            self._check(ids, self._looks_up.union(place.role for place in offsets))
        return self.stamped(offsets)

    def stamped(self, offsets: Mapping[Place, Committed]) -> dict[Place, Committed]:
        """These offsets with the stamp that we commit: the topic's id, and the number once more."""
        return {
            place: Committed(offset, stamped(metadata, self.known[place.role], offset))
            for place, (offset, metadata) in offsets.items()
        }

    def watch(self) -> None:
        """Raises FatalError if any topic was made anew. One that is missing may still come back."""
        if self.known:
            self._check(self._bus.ask_topic_ids(self._roles)(), ())

    def _check(self, ids: Mapping[str, str], needed: Collection[str]) -> None:
        for role, topic_id in ids.items():
            if not topic_id:
                if role in needed:
                    raise RetriableError(f"topic {role} does not exist now: `freshet topics apply` creates it.")
                continue
            if role in needed and role not in self.known:
                self.known[role] = topic_id
                self._tell(role, topic_id)
            if self.known.get(role, topic_id) != topic_id:
                raise FatalError(
                    f"topic {role} was deleted and made anew while it was read (its id was {self.known[role]}, and "
                    f"is {topic_id}). Nothing of the new one was answered in the old one's name. This process ends; "
                    "its successor starts at the new topic's beginning."
                )
