"""Fields that an event schema marks as private: `"private": true` beside a field's name and type in `event.avsc`.

Avro leaves attributes alone that it does not know, so producers, decoders and compatibility do not notice the mark.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from freshet.pipeline.spec import PipelineSpec

MASK: Final = "•••"
_MARK: Final = "private"
_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True, slots=True)
class PrivateFields:
    """What of a pipeline's events is not shown."""

    fields: frozenset[str] = frozenset()
    """Names of event fields; a nested one is written `outer.inner`."""
    features: frozenset[str] = field(default=frozenset())
    """Features that are made of such fields."""
    copied: frozenset[str] = field(default=frozenset())
    """`entity` and `event_id`, under which records made of an event repeat such fields."""
    everything: bool = False
    """All fields of events are private, whatever their names."""
    all_features: bool = False

    def __bool__(self) -> bool:
        return self.everything or bool(self.fields)

    def hides(self, name: str) -> bool:
        """Whether the field of that name is private, or one that it is part of."""
        parts = name.split(".")
        return self.everything or any(".".join(parts[:end]) in self.fields for end in range(1, len(parts) + 1))

    def hides_feature(self, name: str) -> bool:
        """Whether the values of a feature are not shown, nor what they added to an answer."""
        return self.all_features or name in self.features

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
            name: MASK if self.hides(above + name) else self.masked(inner, f"{above}{name}.")
            for name, inner in value.items()
        }

    def masked_copy(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """A record made of an event, without what is private."""
        return {name: MASK if name in self.copied else part for name, part in value.items()}


ALL: Final = PrivateFields(copied=frozenset({"entity", "event_id"}), everything=True, all_features=True)


def private_fields(event_schemas: Iterable[str], spec: PipelineSpec | None) -> PrivateFields:
    """The fields that any of the published schemas marks, and the features that would tell their values.

    Where a schema cannot be read nobody knows what it marks: everything is private then.
    """
    found: set[str] = set()
    for text in event_schemas:
        try:
            schema = json.loads(text)
            if schema["type"] != "record":
                return ALL
            found |= set(_Marks().of(schema, "", ""))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return ALL
    if spec is None:  # a newer Freshet wrote it: what is made of which field is not known here
        return replace(ALL, fields=frozenset(found), everything=False) if found else PrivateFields()
    marked = PrivateFields(frozenset(found))
    named = {"entity": spec.entity, "event_id": spec.event_id}
    copied = frozenset(name for name, of in named.items() if marked.hides(of))
    return replace(marked, features=frozenset(_features(spec, marked)), copied=copied)


class _Marks:
    """Finds marked fields in one schema; knows the named types that came before, by their full names."""

    def __init__(self) -> None:
        self._named: dict[str, tuple[Mapping[str, Any], str]] = {}

    def of(self, schema: Any, above: str, namespace: str) -> Iterator[str]:
        """Names of marked fields, each after `above`."""
        if isinstance(schema, list):  # a union
            for branch in schema:
                yield from self.of(branch, above, namespace)
        elif isinstance(schema, str):
            if schema not in _PRIMITIVES:
                named, of = self._named[schema if "." in schema or not namespace else f"{namespace}.{schema}"]
                yield from self._fields(named, above, of)
        elif schema["type"] in ("array", "map"):
            inner = schema["items" if schema["type"] == "array" else "values"]
            if any(True for _ in self.of(inner, above, namespace)):
                yield above.removesuffix(".")  # whole: a page does not look into its items
        elif schema["type"] in ("record", "enum", "fixed"):
            name = str(schema["name"])
            namespace = name.rpartition(".")[0] or schema.get("namespace") or namespace
            self._named[name if "." in name or not namespace else f"{namespace}.{name}"] = schema, namespace
            yield from self._fields(schema, above, namespace)
        else:
            yield from self.of(schema["type"], above, namespace)

    def _fields(self, record: Mapping[str, Any], above: str, namespace: str) -> Iterator[str]:
        for one in record.get("fields", ()):
            if one.get(_MARK, False) is not False:
                yield above + one["name"]
            yield from self.of(one["type"], f"{above}{one['name']}.", namespace)


def _features(spec: PipelineSpec, marked: PrivateFields) -> Iterator[str]:
    for column in spec.features.columns:
        if any(marked.hides(name) for name in column.inputs()):
            yield from column.names()
