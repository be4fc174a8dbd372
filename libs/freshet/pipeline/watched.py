"""What the fold of the labelled log must know beside it: each specification's detectors, and what models promised."""

from collections.abc import Sequence
from typing import Final

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import ModelVersion, PipelineRecord
from freshet.detectors.detector import Detector
from freshet.detectors.observing import promise_of
from freshet.pipeline.spec import PipelineSpec

ROLES: Final = ("pipelines", "models")
"""The control topics that tell it."""


class WatchedFacts:
    """Facts of one pipeline, from the control topics. None ever changes, so it does not matter when they come."""

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self.detectors: dict[int, Sequence[Detector]] = {}
        """By number of the specification."""
        self.promises: dict[str, float | None] = {}
        """By version; None where it promised nothing, or where its record is deleted."""
        self.unreadable = ""
        """Why the newest specification that cannot be read cannot."""

    def fold(self, fact: Fact) -> bool:
        """Take in one record; whether it is about this pipeline."""
        pipeline, _, name = fact.key.rpartition("/")
        if pipeline != self._pipeline:
            return False
        if fact.role == "models":
            told = promise_of(fact.message.manifest) if isinstance(fact.message, ModelVersion) else None
            self.promises.setdefault(name, told)
        elif isinstance(fact.message, PipelineRecord):
            try:
                self.detectors[fact.message.number] = PipelineSpec.parse(fact.message.spec).detectors
            except ContractError as error:
                self.unreadable = f" Number {fact.message.number} cannot be read here: {error}"
        return True
