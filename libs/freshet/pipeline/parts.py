"""What the models of pipeline.yaml have in common: strictness, and entries that are parts, found by their `kind`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler
from pydantic_core import core_schema

from freshet.pipeline.catalogue import Catalogue


class SpecModel(BaseModel):
    """Unknown keys are errors, nothing is converted silently, instances never change."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True, defer_build=True
    )


class ByKind:
    """Validates an entry with the model that its `kind` names."""

    def __init__(self, parts: Callable[[], Catalogue[Any]]) -> None:
        self._parts = parts

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        parts = self._parts()
        choices: dict[Any, Mapping[str, Any]] = {
            kind: core_schema.no_info_before_validator_function(
                _without_kind, handler.generate_schema(parts.find(kind))
            )
            for kind in parts.kinds()
        }
        return core_schema.tagged_union_schema(choices, discriminator=_kind)


def _kind(entry: Any) -> Any:
    return entry.get("kind") if isinstance(entry, dict) else getattr(entry, "kind", None)


def _without_kind(entry: Any) -> Any:
    return {key: value for key, value in entry.items() if key != "kind"} if isinstance(entry, dict) else entry


def _number_or_text(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is neither a whole number nor text")
    return value


Choice = Annotated[int | str, BeforeValidator(_number_or_text)]
