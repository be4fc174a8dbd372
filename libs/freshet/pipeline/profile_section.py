"""The section `profile` of pipeline.yaml: what watches features and answers before any label tells."""

from typing import Annotated

from pydantic import Field, SerializeAsAny

from freshet.detectors.input_detector import InputDetector
from freshet.pipeline.catalogue import input_detectors
from freshet.pipeline.parts import ByKind, SpecModel

AnyInputDetector = Annotated[SerializeAsAny[InputDetector], ByKind(input_detectors)]
_USUAL = ("psi", "answers", "missing", "range", "stale")


def _usual_detectors() -> tuple[InputDetector, ...]:
    return tuple(input_detectors().find(kind)() for kind in _USUAL)


class ProfileSpec(SpecModel):
    """How rows are compared with earlier ones. The default needs no configuration."""

    window: int = Field(default=1000, ge=100, le=1_000_000)
    """So many rows are compared together; of a thousand, chance hides changes that do not matter anyway."""
    reference: int = Field(default=10, ge=5, le=40)
    """So many windows are learned from, after the start and after each change; fewer tell less of what chance does."""
    detectors: tuple[AnyInputDetector, ...] = Field(default_factory=_usual_detectors)
    """What compares them; by default changed distributions, answers, missing values, ranges, and silence."""
