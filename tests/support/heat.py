"""A small pipeline of device readings, for tests of what sends events."""

from freshet.avro.own_schemas import Schema
from freshet.pipeline import PipelineSpec

SCHEMA: Schema = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "device", "type": "string"},
        {"name": "at", "type": "long"},
        {"name": "heat", "type": "double"},
    ],
}
SPEC = PipelineSpec.parse("""
pipeline: heat
entity: device
event_id: id
event_time: at
features: {version: 1, columns: [{kind: field, of: heat}]}
target: {classes: [cold, warm]}
""")
