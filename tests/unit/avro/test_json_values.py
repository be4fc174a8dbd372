"""Parsed JSON as values of an Avro type."""

from freshet.avro.json_values import json_reader
from freshet.avro.parsing import parse


def test_a_branch_that_takes_a_value_unchanged_goes_first() -> None:
    """Reading other forms changes nothing for unions that had a place for the value as it is."""
    time = {"type": "long", "logicalType": "timestamp-millis"}
    schema = {
        "type": "record",
        "name": "E",
        "fields": [
            {"name": "number", "type": ["long", "double"]},
            {"name": "text", "type": [time, "string"]},
            {"name": "time", "type": ["null", time]},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        ],
    }
    written = {"number": 3.0, "text": "2026-01-01T00:00:00Z", "time": "1970-01-01T00:00:01Z", "day": "1970-01-03"}
    read = json_reader(parse(schema))(written)
    assert read == {"number": 3.0, "text": "2026-01-01T00:00:00Z", "time": 1000, "day": 2}
    assert type(read["number"]) is float
