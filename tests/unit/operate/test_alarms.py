"""Alarms that were told come again from the log, with the same ids; with other parameters, others come."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from freshet.cli import alarms as cli
from freshet.cli.output import Exit
from freshet.contracts.messages import Alarm
from freshet.detectors.observing import LogRecord
from freshet.operate.alarm_log import agreement, alarm_named, replay, told
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec
from support.detecting import Detecting
from support.inference import specification
from support.labelled_log import PIPELINE, Log, bernoulli, rows


@cache
def log() -> tuple[LogRecord, ...]:
    """An error that rises slightly, then a lot."""
    made = Log()
    wrong = np.concatenate([bernoulli(1, 2000, 0.2), bernoulli(2, 700, 0.3), bernoulli(3, 2000, 0.7)])
    for at in range(0, len(wrong), 50):
        made.append(rows(wrong[at : at + 50], first=at))
    return tuple(made.records)


@pytest.fixture
def world() -> Detecting:
    """The log is there, and detection has read it."""
    made = Detecting()
    made.publish()
    made.admit("v1")
    made.feed(log())
    made.turn(made.worker())
    return made


@pytest.fixture
def freshet(world: Detecting, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `freshet alarms` on it."""
    spec = PipelineSpec.parse(specification().spec)
    monkeypatch.setattr(cli, "_opened", lambda pipeline, bootstrap, namespace: (world.bus, spec))
    app = typer.Typer()
    app.add_typer(cli.app, name="alarms")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["alarms", *arguments, "--pipeline", PIPELINE])

    return run


def test_an_alarm_that_was_written_twice_is_one(world: Detecting) -> None:
    """Its id is what it is about. A writer without transactions may repeat itself."""
    before = told(world.bus, PIPELINE)
    world.tell("alarms", PIPELINE, before[0])
    assert told(world.bus, PIPELINE) == before
    assert alarm_named(told(world.bus, PIPELINE), before[0].id) == before[0]


def test_the_same_parameters_give_the_same_ids(world: Detecting) -> None:
    """Whatever batches the service read."""
    done = replay(world.bus, PIPELINE)
    agreed = agreement(told(world.bus, PIPELINE), done.alarms)
    where = {"outcomes_topic": world.bus.topic_id("outcomes")}
    assert [alarm.model_copy(update=where) for alarm in done.alarms] == told(world.bus, PIPELINE) != []
    assert (agreed.only_told, agreed.only_replayed, agreed.newer) == ([], [], [])
    assert done.rows == 4700


def test_other_parameters_give_other_alarms(world: Detecting) -> None:
    """A patient ADWIN is later, or silent; the other detectors say what they said."""
    usual, patient = replay(world.bus, PIPELINE), replay(world.bus, PIPELINE, "adwin", {"threshold": "1e-9"})

    def of(alarms: Any, kind: str) -> list[str]:
        return [alarm.id for alarm in alarms if alarm.detector == kind]

    assert of(patient.alarms, "promise") == of(usual.alarms, "promise")
    assert set(of(patient.alarms, "adwin")).isdisjoint(of(usual.alarms, "adwin"))
    sooner, later = (next(a.test_to for a in done.alarms if a.detector == "adwin") for done in (usual, patient))
    assert later > sooner


@pytest.mark.parametrize(
    ("kind", "changes", "told_so"),
    [
        ("adwine", {"delta": "0.1"}, "'adwine': adwin, answers, labels, missing, promise"),
        ("adwin", {"detla": "0.1"}, "adwin, detla"),
        ("adwin", {"delta": "much"}, "adwin, delta"),
    ],
)
def test_a_misspelt_parameter_is_told(world: Detecting, kind: str, changes: dict[str, str], told_so: str) -> None:
    """With what there is."""
    with pytest.raises(OperateError, match=told_so):
        replay(world.bus, PIPELINE, kind, changes)


def test_what_was_told_and_does_not_come_again_is_told() -> None:
    """And the other way round; what lies behind the last told one is only newer."""

    def alarm(number: str, through: int) -> Alarm:
        return _any().model_copy(update={"id": number, "through": through})

    agreed = agreement([alarm("a", 1), alarm("b", 5)], [alarm("a", 1), alarm("c", 4), alarm("d", 6)])
    assert (agreed.same, agreed.only_told, agreed.only_replayed, agreed.newer) == (["a"], ["b"], ["c"], ["d"])


@cache
def _any() -> Alarm:
    made = Detecting()
    made.publish()
    made.admit("v1")
    made.feed(log())
    return replay(made.bus, PIPELINE).alarms[0]


def test_an_alarm_is_named_by_the_beginning_of_its_id(world: Detecting) -> None:
    """If that is one alarm."""
    alarms = told(world.bus, PIPELINE)
    assert alarm_named(alarms, alarms[0].id[:10]) == alarms[0]
    for wrong in ("", "nothing"):
        with pytest.raises(OperateError):
            alarm_named(alarms, wrong)


def test_the_command_lists_shows_and_replays(world: Detecting, freshet: Any) -> None:
    """For people and as JSON."""
    alarms = told(world.bus, PIPELINE)
    listed = json.loads(freshet("list", "--json").stdout)
    assert [entry["id"] for entry in listed] == [alarm.id for alarm in alarms]
    assert alarms[0].id[:8] in freshet("list").stdout
    assert alarms[0].text in freshet("show", alarms[0].id[:12]).stdout
    again = freshet("replay")
    assert again.exit_code == Exit.OK
    assert f"{len(alarms)} alarms came again, with the same ids." in again.stdout
    late = json.loads(freshet("replay", "--from", str(alarms[0].test_to), "--json").stdout)
    assert [entry["id"] for entry in late["alarms"]] == [alarm.id for alarm in alarms[1:]]
    for lacking in (("--threshold", "0.1"), ("--detector", "adwin")):
        refused = freshet("replay", *lacking)
        assert refused.exit_code == Exit.USAGE
        assert "the threshold of adwin is its field `delta` (0.002, the default)" in refused.stderr
    unknown = freshet("replay", "--detector", "adwin", "--param", "dleta=0.5")
    assert "block (64 now), cool_down (2000 now), delta (0.002 now)" in unknown.stderr
    other = freshet("replay", "--detector", "adwin", "--param", "delta=0.5")
    assert "the threshold of adwin is its field `delta` (0.002, the default)" in other.stderr
    assert other.exit_code == Exit.OK
    assert "promise" not in other.stdout, "alarms of detectors that nobody asked about look as if they had changed"
    assert "more of other detectors, with their parameters as they are" in other.stdout


def test_an_alarm_that_does_not_come_again_fails_the_replay(world: Detecting, freshet: Any) -> None:
    """Somebody wrote it who did not fold this log."""
    strange = told(world.bus, PIPELINE)[0].model_copy(update={"id": "f" * 32})
    world.tell("alarms", PIPELINE, strange)
    found = freshet("replay")
    assert found.exit_code == Exit.CHECK
    assert "1 were told and do not come again" in found.stdout
