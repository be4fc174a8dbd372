"""A service is found by its folder: nothing else has to be touched to add one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from freshet.runtime.service import load_service, service_names
from freshet.runtime.settings import SettingsError

_TOY = """
from freshet.contracts.logic import Decider
from freshet.runtime.service import ControlService

class Toy(Decider):
    def fold(self, fact): ...
    def pipelines(self): return ()

def decider(context):
    raise SystemExit(42)

SERVICE = ControlService(name="toy", decider=decider)
"""
_RUN = """
import sys
from freshet.runtime import process
process._await_broker = lambda settings, stop: None
process.warn_if_faulty = lambda *_: None
from freshet.cli.main import main as cli
sys.argv = ["freshet", "run", "toy", "--bootstrap", "127.0.0.1:1"]
cli()
"""


def test_the_services_are_the_folders_with_a_declaration() -> None:
    """All of ours, and each declares the name that its folder has."""
    folder = Path(__file__).parents[3] / "services/freshet"
    assert service_names() == sorted(path.parent.name for path in folder.glob("*/service.py"))
    assert [load_service(name).name for name in service_names()] == service_names()


def test_who_is_not_there_is_told_who_is() -> None:
    """A misspelt name gets all that could have been meant."""
    with pytest.raises(SettingsError, match=r"'ingest'; there are: .*ingestion"):
        load_service("ingest")


def test_another_packages_folder_is_enough(tmp_path: Path) -> None:
    """Anywhere on the path, without a registration: `freshet run toy` builds its decider, and help names it."""
    (tmp_path / "freshet/toy").mkdir(parents=True)
    (tmp_path / "freshet/toy/service.py").write_text(_TOY)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}

    def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    done = ended("-c", _RUN)
    assert done.returncode == 42, done.stderr
    assert "subjects, toy" in ended("-m", "freshet.cli", "run", "--help").stdout
