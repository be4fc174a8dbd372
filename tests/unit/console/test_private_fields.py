"""What pages of single records show where the event schema marks fields as private."""

from typing import Any, cast

import pytest

from freshet.console.core.private_fields import MASK, PrivateFields
from freshet.console.one_event import _at
from freshet.operate.records import Readable
from freshet.runtime.bus.protocol import Place
from freshet.runtime.lookups import Lookups

PRIVATE = PrivateFields(frozenset({"salary", "applicant"}), frozenset({"salary"}), frozenset({"entity"}))
UNDECODABLE = {"undecodable": "truncated", "detail": "after b'1200'", "bytes": 4, "hex": "31323030"}


@pytest.mark.parametrize(
    ("role", "value", "shown"),
    [
        ("events", {"salary": 12.0, "age": 3}, {"salary": MASK, "age": 3}),
        ("events", UNDECODABLE, None),
        ("events", [{"salary": 12.0}], None),
        ("events", "salary=12", None),
        ("features", {"entity": "me", "epoch": 3, "values": [12.0]}, {"entity": MASK, "epoch": 3}),
        ("feedback", {"entity": "me", "label": "ok"}, {"entity": MASK, "label": "ok"}),
        ("feedback", UNDECODABLE, None),
    ],
)
def test_a_record_is_shown_as_its_role_allows(role: str, value: Any, shown: Any) -> None:
    """Records made of an event repeat private fields under names of their own; bytes and bare values may hold any."""
    assert PRIVATE.shown(role, value) == shown


def test_without_private_fields_everything_is_shown() -> None:
    """Values without fields too."""
    assert PrivateFields().shown("features", {"values": [1.0]}) == {"values": [1.0]}
    assert PrivateFields().shown("events", [1]) == {"value": [1]}
    assert PrivateFields().shown("events", UNDECODABLE) == UNDECODABLE


class _OneRecord:
    """Stands for a reader of records, for look-ups and for what they find: one record with this value."""

    def __init__(self, value: Any) -> None:
        self.values = [b"salary=1200"]
        self._value = value

    def find(self, place: Place, offsets: Any) -> "_OneRecord":
        return self

    def rows(self, batch: Any) -> list[dict[str, Any]]:
        return [{"partition": 0, "offset": 7, "timestamp_ms": 1, "key": None, "value": self._value}]


@pytest.mark.parametrize("value", [UNDECODABLE, ["salary", 1200], "salary=1200"])
def test_the_page_of_one_event_shows_nothing_of_what_it_cannot_mask(value: Any) -> None:
    """Neither its bytes nor what could be read of them."""
    one = _OneRecord(value)
    reader, lookups = cast(Readable, one), cast(Lookups, one)
    found = _at(reader, lookups, Place("events", 0), 7, PRIVATE)
    assert found is not None
    assert "1200" not in str(found)
    assert "31323030" not in str(found)
