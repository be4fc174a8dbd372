"""Which services `freshet up` runs."""

import pytest

from freshet.cli import up
from freshet.pipeline import PipelineSpec
from freshet.runtime.service import Service, load_service
from freshet.runtime.settings import SettingsError
from support.labelled import spec_text

QUIET = PipelineSpec.parse(spec_text())
TRAINED = PipelineSpec.parse(spec_text() + "retraining: {triggers: [{kind: rows, every: 100}]}")


def without_trainers(name: str) -> Service:
    """A plain installation: what retraining trains with is missing."""
    if name == "retraining":
        raise SettingsError("retraining trains models, and needs sklearn")
    return load_service(name)


def test_every_service_runs_and_without_registry_none_of_those_that_are_alone() -> None:
    """Another process runs them for all pipelines."""
    assert {service.name for service in up._services([QUIET], registry=True)} >= {"registry", "retraining", "inference"}
    alone = {service.name for service in up._services([QUIET], registry=False)}
    assert "inference" in alone
    assert alone.isdisjoint({"registry", "retraining"})


def test_retraining_may_lack_its_extra_where_nothing_is_to_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said; a pipeline that wants trainings has to have it."""
    monkeypatch.setattr(up, "load_service", without_trainers)
    said: list[str] = []
    monkeypatch.setattr(up, "say", said.append)
    assert "retraining" not in {service.name for service in up._services([QUIET], registry=True)}
    assert said == ["retraining is not run: retraining trains models, and needs sklearn"]
    with pytest.raises(SettingsError):
        up._services([QUIET, TRAINED], registry=True)
