"""What all parts that raise alarms have in common, whatever they watch: parameters, and how often they may speak."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic.fields import FieldInfo


class AlarmingPart(BaseModel):
    """An entry of pipeline.yaml with a `kind`, whose fields are the YAML's keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    kind: ClassVar[str]
    threshold_field: ClassVar[str]
    """The name of the field that sets how sensitive the detector is."""

    cool_down: int = Field(default=2000, ge=0)
    """For this many rows after an alarm it raises no other of the same level, so that one cause leads to one alarm."""

    @property
    def sensitivity(self) -> str:
        """What `threshold_field` is set to here, what it is by default and what it means, for people."""
        field = type(self).model_fields[self.threshold_field]
        now, usual = self.parameters[self.threshold_field], str(field.get_default(call_default_factory=True))
        where = f"{now}, the default" if now == usual else f"{now} in this pipeline, {usual} by default"
        return f"the threshold of {self.kind} is its field `{self.threshold_field}` ({where}). {_in_one_line(field)}"

    @property
    def parameters(self) -> dict[str, str]:
        """Its fields as text, for alarms."""
        return {name: str(value) for name, value in sorted(self.model_dump(mode="json").items()) if name != "kind"}

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)}


def _in_one_line(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())
