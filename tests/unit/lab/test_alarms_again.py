"""A story ends with its alarms found again, and with those that other thresholds would have raised."""

import numpy as np
import pytest

from freshet.detectors.parts.adwin import AdwinDetector
from freshet.detectors.parts.labels import LabelsDetector
from freshet.lab.demo.alarms_again import alarms_again, show_alarms_again
from freshet.operate.alarm_log import told
from support.detecting import Detecting
from support.labelled_log import PIPELINE, Log, bernoulli, rows


@pytest.fixture
def world() -> Detecting:
    """A log in which the error rises, and detection that has read it."""
    log, wrong = Log(), np.concatenate([bernoulli(1, 2000, 0.2), bernoulli(3, 2000, 0.6)])
    for at in range(0, len(wrong), 50):
        log.append(rows(wrong[at : at + 50], first=at))
    made = Detecting()
    made.publish()
    made.admit("v1")
    made.feed(log.records)
    made.turn(made.worker())
    return made


class Heard:
    """A narrator that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def text(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)


def test_alarms_come_again_and_other_thresholds_are_answered(world: Detecting) -> None:
    """Of the detectors that the pipeline has; a less sensitive one raises no more alarms."""
    found = alarms_again(world.bus, PIPELINE, [AdwinDetector(), LabelsDetector()])
    assert found.good
    assert list(found.agreement.same) == [alarm.id for alarm in told(world.bus, PIPELINE)] != []
    (patient,) = found.others
    assert (patient.detector, patient.threshold) == ("adwin", "0.00002")
    heard = Heard()
    show_alarms_again(heard, found)  # type: ignore[arg-type]
    assert "its field `delta` (0.002, the default). ADWIN's confidence: smaller means" in heard.lines[2]
    usual = [alarm for alarm in told(world.bus, PIPELINE) if alarm.detector == "adwin"]
    assert 1 <= patient.detected + patient.suspected <= len(usual)


def test_an_alarm_that_does_not_come_again_ends_a_story_badly(world: Detecting) -> None:
    """And is named."""
    strange = told(world.bus, PIPELINE)[0].model_copy(update={"id": "f" * 32})
    world.tell("alarms", PIPELINE, strange)
    found, heard = alarms_again(world.bus, PIPELINE, ()), Heard()
    assert not found.good
    assert found.document()["only_told"] == ["f" * 32]
    show_alarms_again(heard, found)  # type: ignore[arg-type]
    assert f"told and not found again: {'f' * 32}; found and not told: none." in heard.lines[0]
