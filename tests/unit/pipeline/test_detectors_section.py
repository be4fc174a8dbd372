"""`detectors` in pipeline.yaml: three by default, found by kind, and what is wrong is said on its line."""

import pytest

from freshet.detectors.detector import Detector
from freshet.detectors.parts.adwin import AdwinDetector
from freshet.pipeline import PipelineError, PipelineSpec

SPEC = """\
pipeline: pay
entity: card
event_id: id
event_time: at
features: {version: 1, columns: [{kind: log, of: amount}]}
target: {classes: [legit, fraud]}
"""


def section(text: str) -> tuple[Detector, ...]:
    """The detectors of a pipeline.yaml with this section."""
    return PipelineSpec.parse(f"{SPEC}detectors: {text}\n").detectors


def test_without_the_section_the_usual_three_watch() -> None:
    """With their defaults; an empty section is none at all."""
    assert [detector.kind for detector in PipelineSpec.parse(SPEC).detectors] == ["labels", "adwin", "promise"]
    assert section("[]") == ()


def test_parameters_are_the_fields_of_the_part() -> None:
    """And one kind may watch twice, with others."""
    assert section("[{kind: adwin, delta: 0.05}, {kind: adwin}]") == (AdwinDetector(delta=0.05), AdwinDetector())
    assert section("[{kind: labels, silence: 2h}]")[0].parameters["silence"] == "2h"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{kind: adwine}]", "adwin"),
        ("[{kind: adwin, detla: 0.1}]", "detla"),
        ("[{kind: adwin, delta: 2}]", "less than 1"),
        ("[{kind: adwin}, {kind: adwin, delta: 0.002}]", "is there twice"),
        ("[{delta: 2}]", "kind"),
    ],
)
def test_what_is_wrong_is_said_on_its_line(text: str, said: str) -> None:
    """As for transforms."""
    with pytest.raises(PipelineError) as error:
        section(text)
    assert said in str(error.value)
    assert "pipeline.yaml:7" in str(error.value)
