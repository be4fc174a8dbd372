"""Parts of installed packages are found by their kind, and a broken package harms only who uses it."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from freshet.contracts.errors import ContractError, UnknownPartError
from freshet.features.transform import Transform
from freshet.pipeline import catalogue as module
from freshet.pipeline.catalogue import Catalogue

GROUP = "freshet.transforms"
OURS = EntryPoint("builtin", "freshet.features.transforms", GROUP)
PART = """
from freshet.features.transform import Transform

class Own(Transform):
    kind = "{kind}"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a user's modules, which stand in the group beside our own."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> Catalogue[Transform]:
    """The catalogue when these modules are installed, as their packages' metadata say."""
    found = [OURS, *(EntryPoint(name, name, GROUP) for name in names)]
    monkeypatch.setattr(module, "entry_points", lambda group: [entry for entry in found if entry.group == group])
    return Catalogue(Transform, GROUP)


def test_our_own_parts_come_the_same_way() -> None:
    assert {"field", "log", "one_hot"} <= set(Catalogue(Transform, GROUP).kinds())
    assert "manual" in Catalogue(object, "freshet.policies").kinds()
    assert {"avro", "json"} == set(Catalogue(object, "freshet.decoders").kinds())


def test_a_users_module_adds_its_parts(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "mine_one.py").write_text(PART.format(kind="mine"))
    found = installed(monkeypatch, "mine_one")
    assert found.find("mine").__name__ == "Own"
    assert found.find("log").__module__ == "freshet.features.transforms.log"


def test_a_module_that_cannot_be_imported_is_told_to_who_asks(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "mine_broken.py").write_text("import nothing_of_that_name\n")
    found = installed(monkeypatch, "mine_broken")
    assert found.find("log").kind == "log"
    with pytest.raises(UnknownPartError, match=r"mine_broken cannot be imported \(ModuleNotFoundError: .*uninstall"):
        found.find("mine")


def test_two_parts_of_one_kind_serve_nobody_who_asks_for_it(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "mine_twin.py").write_text(PART.format(kind="log"))
    found = installed(monkeypatch, "mine_twin")
    assert found.find("field").kind == "field"
    with pytest.raises(ContractError, match="several parts call themselves 'log'"):
        found.find("log")
