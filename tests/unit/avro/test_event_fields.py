"""What Avro's logical types make of a number."""

import pytest

from freshet.avro.event_fields import event_fields


@pytest.mark.parametrize(
    ("kind", "logical", "expected"),
    [
        ("long", "timestamp-millis", ("time", 1)),
        ("long", "local-timestamp-micros", ("time", 1000)),
        ("long", "timestamp-nanos", ("time", 1_000_000)),
        ("int", "date", ("other", 1)),
        ("long", "time-micros", ("other", 1)),
        ("long", "moon-phase", ("other", 1)),
        ("string", "uuid", ("text", 1)),
    ],
)
def test_a_logical_type_decides(kind: str, logical: str, expected: tuple[str, int]) -> None:
    """Timestamps count by their unit; what says that it is something else is no number for features."""
    schema = {"type": "record", "name": "R", "fields": [{"name": "at", "type": {"type": kind, "logicalType": logical}}]}
    field = event_fields(schema)["at"]
    assert (field.kind, field.ticks_per_ms) == expected
