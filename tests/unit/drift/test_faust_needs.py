"""What Faust needs, and the sentence where it is not there."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import faust
import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.drift.service import DETECT
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.service import Context
from freshet.runtime.settings import Settings, SettingsError, load_settings

NAMES = TopicNames("", "fraud")


def settings(folder: Path, **more: Any) -> Settings:
    """Those of a worker on Faust."""
    return load_settings("localhost:9092", state_dir=folder, drift_engine="faust", **more)


@pytest.fixture
def _not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("freshet.drift.faust")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("_not_imported")
def test_where_faust_is_not_installed_the_service_says_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who asks for it needs it."""
    monkeypatch.setitem(sys.modules, "faust", None)
    bus = MemoryBus(MemoryCluster(), NAMES)
    context = Context(NAMES, settings(tmp_path), bus)
    with pytest.raises(SettingsError, match=r"Faust is not installed: pip install 'freshet\[faust\]'"):
        DETECT.bus(context)
    loop = Context(NAMES, settings(tmp_path).model_copy(update={"drift_engine": "loop"}), bus)
    assert DETECT.bus(loop) is bus


@pytest.mark.usefixtures("_not_imported")
def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether the corrections fit it."""
    monkeypatch.setattr(faust, "__version__", "0.16.0")
    with pytest.raises(SettingsError, match=r"does not know whether 0\.16\.0 has them"):
        import_module("freshet.drift.faust")
