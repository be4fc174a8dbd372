"""The base class of trainers: parameters in pipeline.yaml, and how rows with their truths become a model."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from freshet.contracts.errors import FreshetError
from freshet.training.data import TrainingData

Target = Literal["classes", "value"]


class TrainingError(FreshetError):
    """These rows give no model with this trainer, nor would they if tried again. The text is a sentence for people."""


class Trainer(BaseModel):
    """What `retraining.trainer` names. Subclasses carry a `kind` and are found by it; their fields are the YAML's keys.

    It runs in a child process without network, in which files can be neither read nor written. Import heavy packages
    inside `fit`, and always the same ones: the run with `quick` imports them while files can still be read. The same
    rows, parameters and seed give the same model, in another process, too: use no clock, no thread, and no randomness
    but the seed's.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    kind: ClassVar[str]
    learns: ClassVar[frozenset[Target]]
    """What it can predict."""
    programs: ClassVar[bool] = False
    """Whether it has to start programs and write files; its process is then confined less."""
    quick: ClassVar[Mapping[str, object]] = {}
    """Fields with which `fit` takes next to no time: it runs with these once before its process is confined.
    """

    def fit(self, data: TrainingData, seed: int) -> object:
        """A fitted scikit-learn estimator or Pipeline, a LightGBM model, or the bytes of an ONNX file.

        Labels are the names of the classes; a file of ONNX bytes has its scores in the order of `data.classes`. Raises
        TrainingError; whatever else it raises is told as the reason why there is no model.
        """
        raise NotImplementedError

    @property
    def parameters(self) -> dict[str, str]:
        """Its fields as JSON texts, for records."""
        fields = self.model_dump(mode="json")
        return {name: json.dumps(value) for name, value in sorted(fields.items()) if name != "kind"}

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Self:
        """The trainer with these `parameters`. Raises ValueError on names that are not its own."""
        return cls.model_validate_json(json.dumps({name: json.loads(text) for name, text in parameters.items()}))

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)}
