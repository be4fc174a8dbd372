"""Entities for events of a table that names none: the same for a row each time, and told to whoever sends more."""

from typing import Final

ENTITIES: Final = 100
"""How many are made up, if nobody says: enough for all partitions to have some."""


def made_up_entity(field: str, number: int, *, whole: bool) -> int | str:
    """The value of this field for the entity of that number; a number itself where the field is `whole`."""
    return number if whole else f"{field}-{number}"


def made_up_entities(field: str, count: int = ENTITIES, *, whole: bool = False) -> str:
    """Which ones there are, in words."""
    first, last = (made_up_entity(field, number, whole=whole) for number in (0, count - 1))
    return f"{first} to {last}" if count > 1 else f"{first}"


def where_from(field: str, *, whole: bool) -> str:
    """A sentence for a sender who lacks the entity."""
    return (
        f"{field!r} is the entity, whom or what the event is about: take one of yours. For a table without such a "
        f"column `freshet replay` makes up {made_up_entities(field, whole=whole)}."
    )
