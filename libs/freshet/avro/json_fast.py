"""JSON events the fast way: pydantic's parser in strict mode, for schemas of plain fields.

Only what is beyond doubt comes out of here. The slow reader looks at every other value: it alone refuses, and gives the
reasons.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic_core import SchemaValidator, ValidationError, core_schema

from freshet.avro.json_values import FLOAT_MAX, iso_reader
from freshet.avro.nodes import NO_DEFAULT, Node
from freshet.avro.plan import Leaf, plan_of
from freshet.avro.reasons import Refused

_LONG: Final = core_schema.int_schema(ge=-(1 << 63), lt=1 << 63)
_DOUBLE: Final = core_schema.float_schema()
_TEXT: Final = core_schema.str_schema()
_KINDS: Final[Mapping[str, core_schema.CoreSchema]] = {
    "null": core_schema.none_schema(),
    "boolean": core_schema.bool_schema(),
    "int": core_schema.int_schema(ge=-(1 << 31), lt=1 << 31),
    "long": _LONG,
    "float": core_schema.float_schema(ge=-FLOAT_MAX, le=FLOAT_MAX),
    "double": _DOUBLE,
    "string": _TEXT,
}
_UNKNOWN: Final = core_schema.nullable_schema(
    core_schema.union_schema([_TEXT, core_schema.bool_schema(), _LONG, _DOUBLE])
)
"""A member that is no field, where those are passed over: what lies nested in it is not looked at here."""


class FastJson:
    """Reads events of one record whose fields are numbers, text, enums and booleans, null or not."""

    @classmethod
    def of(cls, record: Node, *, ignore_unknown: bool) -> Self | None:
        """The reader of this record; None if it has other fields."""
        plain = all(len(leaf.path) == 1 and leaf.node.kind in (*_KINDS, "enum") for leaf in plan_of(record))
        return cls(record, ignore_unknown=ignore_unknown) if plain else None

    def __init__(self, record: Node, *, ignore_unknown: bool) -> None:
        plan = plan_of(record)
        self._fill = {leaf.name: leaf.default for leaf in plan}
        self._times = [(leaf.name, read) for leaf in plan if (read := iso_reader(leaf.node)) is not None]
        fields = {
            leaf.name: core_schema.typed_dict_field(_of(leaf), required=leaf.default is NO_DEFAULT) for leaf in plan
        }
        self._parse = SchemaValidator(
            core_schema.typed_dict_schema(
                fields,
                extra_behavior="allow" if ignore_unknown else "forbid",
                extras_schema=_UNKNOWN if ignore_unknown else None,
                config=core_schema.CoreConfig(strict=True, allow_inf_nan=False),
            )
        ).validate_json

    def read(self, value: bytes) -> dict[str, Any] | None:
        """The event's fields, defaults filled in; None for whatever the slow reader has to judge.

        The parser takes the last of two members with one name, which are refused. They are found by counting quotes:
        `{"a": 1, "b": "x"}` has two for each name and each text, six in all. A name that is written twice makes more.
        So does an escaped quote in a text, which is why such events are not read here either.
        """
        try:
            members: dict[str, Any] = self._parse(value)
        except ValidationError:
            return None
        texts = [*map(type, members.values())].count(str)
        if value.count(b'"') != 2 * (len(members) + texts):
            return None
        try:
            for name, time_of in self._times:
                if type(text := members.get(name)) is str:
                    members[name] = time_of(text)
        except Refused:
            return None
        if members.keys() == self._fill.keys():
            return members
        return {name: members.get(name, default) for name, default in self._fill.items()}


def _of(leaf: Leaf) -> core_schema.CoreSchema:
    if leaf.node.kind == "enum":
        schema: core_schema.CoreSchema = core_schema.literal_schema(list(leaf.node.symbols))
    elif iso_reader(leaf.node) is not None:
        schema = core_schema.union_schema([_KINDS[leaf.node.kind], _TEXT])
    else:
        schema = _KINDS[leaf.node.kind]
    return schema if leaf.null_branch is None else core_schema.nullable_schema(schema)
