"""What cannot name a pipeline or a version is refused by each command that takes one, before it asks anybody."""

import inspect
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from freshet import cli
from freshet.cli.main import app
from freshet.cli.output import PIPELINE, Checked, Exit
from freshet.contracts.errors import ContractError
from freshet.contracts.name_rules import pipeline_name, version_number

IMPOSSIBLE = ["", " ", "a b", "a\n", "loans\n", "Loans", "1loans", "löans", "a" * 300, "loans/1", "loans.", "-p"]
NO_VERSION = ["", " ", "1.0", "1.0.0.0", "v1.0.0", "1.0.0\n", "01.0.0", "1.0.x", "１.0.0", "1.0." + "9" * 300, "latest"]


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_what_cannot_name_a_pipeline(text: str) -> None:
    """By the rule of pipeline.yaml."""
    with pytest.raises(ContractError, match="cannot name a pipeline"):
        pipeline_name(text)


@pytest.mark.parametrize("text", NO_VERSION)
def test_what_is_no_version(text: str) -> None:
    """The registry gives three numbers."""
    with pytest.raises(ContractError, match="is no version"):
        version_number(text)


@pytest.mark.parametrize("version", ["", "1.0", "1.0.0 ", "1" * 300])
@pytest.mark.parametrize("command", ["promote", "retire", "reinstate", "note"])
def test_no_command_is_published_about_an_impossible_version(command: str, version: str) -> None:
    """One sentence and exit code 2; no Kafka is asked, so that none need be named."""
    found = CliRunner().invoke(app, ["model", command, "--pipeline", "loans", "--no-wait", "--json", "--", version])
    assert found.exit_code == Exit.USAGE, found.output
    document = json.loads(found.stdout)
    assert document["exit_code"] == Exit.USAGE
    assert "is no version" in document["error"]
    assert "\n" not in document["error"]


def test_a_rollback_needs_no_version_and_refuses_an_impossible_one() -> None:
    """By default it goes to the version that answered before."""
    assert CliRunner().invoke(app, ["model", "rollback", "--pipeline", "p", "--to", "1.0"]).exit_code == Exit.USAGE
    found = CliRunner().invoke(app, ["model", "rollback", "--pipeline", "p"], env={"KAFKA_BOOTSTRAP_SERVERS": ""})
    assert "is no version" not in found.output


@pytest.mark.parametrize("name", ["", "a b", "x" * 300])
def test_rights_are_made_for_pipelines_that_can_be(name: str) -> None:
    """Nobody grants what belongs to no topic that can ever be."""
    found = CliRunner().invoke(app, ["rights", "show", "--pipeline", name])
    assert found.exit_code == Exit.USAGE
    assert "cannot name a pipeline" in found.stderr


def test_each_command_that_takes_a_pipeline_checks_its_name() -> None:
    """Those that take a folder, too, look for a folder first."""
    unchecked = [
        path
        for path, function in commands()
        for name, parameter in inspect.signature(function).parameters.items()
        if name in ("pipeline", "pipelines") and not checked(parameter.annotation)
    ]
    assert sorted(unchecked) == [
        "mlflow_bridge.import_model",
        "model.check.check",
        "model.pack.pack",
        "pipeline.features",
    ]
    assert len([path for path, function in commands() if PIPELINE in markers(function)]) > 25


def commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each command that is ours, by its module and function."""
    for found in walk_packages(cli.__path__, "freshet.cli."):
        if not found.name.endswith("__main__"):
            for name, function in vars(import_module(found.name)).items():
                inner = inspect.unwrap(function) if callable(function) else function
                if inner is not function and getattr(inner, "__module__", "") == found.name:
                    yield f"{found.name.removeprefix('freshet.cli.')}.{name}", inner


def markers(function: Callable[..., Any]) -> list[Checked]:
    """The rules beside its parameters."""
    annotations = (parameter.annotation for parameter in inspect.signature(function).parameters.values())
    return [marker for annotation in annotations for marker in get_args(annotation) if isinstance(marker, Checked)]


def checked(annotation: object) -> bool:
    """Whether a parameter has a rule."""
    return any(isinstance(marker, Checked) for marker in get_args(annotation))
