"""Fields that an event schema marks as private: `"private": true` beside a field's name and type in `event.avsc`.

Avro leaves attributes alone that it does not know, so producers, decoders and compatibility do not notice the mark.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from freshet.pipeline.spec import PipelineSpec

MASK: Final = "•••"
_MARK: Final = "private"


@dataclass(frozen=True, slots=True)
class PrivateFields:
    """What of a pipeline's events is not shown."""

    fields: frozenset[str] = frozenset()
    """Names of event fields; a nested one is written `outer.inner`."""
    features: frozenset[str] = field(default=frozenset())
    """Features that are made of such fields."""
    copied: frozenset[str] = field(default=frozenset())
    """`entity` and `event_id`, under which records made of an event repeat such fields."""

    def __bool__(self) -> bool:
        return bool(self.fields)

    def shown(self, role: str, value: Any) -> dict[str, Any] | None:
        """What a page shows of a decoded record of that role; None where that could tell what is private.

        So it is where the record could not be decoded, and where it has no fields by whose names to judge.
        """
        fields = value if isinstance(value, dict) else {"value": value}
        if not self:
            return fields
        if fields is not value or "undecodable" in fields:
            return None
        if role == "events":
            return cast(dict[str, Any], self.masked(fields))
        hidden = ("values",) if role == "features" else ()  # a vector, whose values have no names here
        return self.masked_copy({name: part for name, part in fields.items() if name not in hidden})

    def masked(self, value: Any, above: str = "") -> Any:
        """A decoded event, without what is private."""
        if not isinstance(value, dict):
            return value
        return {
            name: MASK if above + name in self.fields else self.masked(inner, f"{above}{name}.")
            for name, inner in value.items()
        }

    def masked_copy(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """A record made of an event, without what is private."""
        return {name: MASK if name in self.copied else part for name, part in value.items()}


def private_fields(event_schema: str, spec: PipelineSpec | None) -> PrivateFields:
    """The fields that the schema marks, and the features that would tell their values."""
    try:
        schema = json.loads(event_schema) if event_schema else {}
    except ValueError:
        return PrivateFields()
    found = frozenset(_marked(schema))
    if spec is None:
        return PrivateFields(found)
    named = {"entity": spec.entity, "event_id": spec.event_id}
    copied = frozenset(name for name, of in named.items() if of in found)
    return PrivateFields(found, frozenset(_features(spec, found)), copied)


def _marked(schema: Any, above: str = "") -> Iterator[str]:
    if not isinstance(schema, Mapping):
        if isinstance(schema, list):  # a union
            for part in schema:
                yield from _marked(part, above)
        return
    if isinstance(schema.get("type"), Mapping | list):
        yield from _marked(schema["type"], above)
    for one in schema.get("fields", ()):
        if one.get(_MARK) is True:
            yield above + str(one["name"])
        yield from _marked(one.get("type"), f"{above}{one['name']}.")


def _features(spec: PipelineSpec, private: frozenset[str]) -> Iterator[str]:
    for column in spec.features.columns:
        if any(name in private or name.partition(".")[0] in private for name in column.inputs()):
            yield from column.names()
