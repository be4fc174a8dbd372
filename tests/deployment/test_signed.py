"""Keys of signed models in compose and on Kubernetes: off at first, and each file only where it is needed."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from freshet.runtime.settings import Settings
from support.images import ROOT
from support.kubernetes import OVERLAYS, breaches, containers, environment, pod, rendered, rendered_at

SIGNED: Final = yaml.safe_load((ROOT / "docker/signed.yml").read_text())
KEYS: Final = ("FRESHET_TRUST", "FRESHET_RELEASE_KEY", "FRESHET_BUILDER_KEY")
GIVEN: Final = {
    "registry": {"FRESHET_TRUST", "FRESHET_RELEASE_KEY"},
    "inference": {"FRESHET_TRUST"},
    "retraining": {"FRESHET_BUILDER_KEY"},
}
"""What each service is given; the others get nothing."""


def settings(given: Mapping[str, Any]) -> dict[str, Path]:
    """The settings of keys, as a process takes them."""
    told = {name: str(value) for name, value in given.items() if name in KEYS}
    fields = {name.removeprefix("FRESHET_").lower(): value for name, value in told.items()}
    taken = Settings(KAFKA_BOOTSTRAP_SERVERS="kafka", **fields)  # type: ignore[call-arg, arg-type]
    return {name: getattr(taken, name.removeprefix("FRESHET_").lower()) for name in told}


def test_compose_has_no_keys_at_first() -> None:
    """Whoever demands no signatures needs no files."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert [name for name, service in services.items() if {*KEYS} & {*service.get("environment", ())}] == []


def test_the_compose_file_of_signed_models_is_one() -> None:
    """By the schema of the compose specification; what it adds to is there."""
    check = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, str(ROOT / "docker/signed.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert {*SIGNED["services"]} <= {*yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]}


def test_compose_gives_each_process_its_files_and_no_other() -> None:
    """All workers have the trust file; a private key is with one service; nobody may write."""
    services = SIGNED["services"]
    assert {re.sub(r"-\d$", "", name) for name in services} == {*GIVEN}
    workers = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {name for name in workers if name.startswith("inference-")} <= {*services}
    for name, service in services.items():
        found = settings(service["environment"])
        assert {*found} == GIVEN[re.sub(r"-\d$", "", name)], name
        secrets = {f"/run/secrets/{secret}" for secret in service.get("secrets", ())}
        assert {str(path) for variable, path in found.items() if variable != "FRESHET_TRUST"} == secrets
        mounts = dict(volume.removesuffix(":ro").rsplit(":", 1)[::-1] for volume in service.get("volumes", ()))
        assert all(volume.endswith(":ro") for volume in service.get("volumes", ()))
        # its folder, since a file that is mounted by itself keeps the content of before
        assert {str(path.parent) for variable, path in found.items() if variable == "FRESHET_TRUST"} == {*mounts}
        assert {source.rpartition("/")[2] for source in mounts.values()} <= {"trust"}
    assert {*SIGNED["secrets"]} == {secret for service in services.values() for secret in service.get("secrets", ())}
    sources = [str(secret["file"]) for secret in SIGNED["secrets"].values()]
    assert [source for source in sources if not source.startswith("${FRESHET_KEYS:-./keys}/")] == []


def test_keys_in_the_folder_of_the_compose_file_are_not_committed() -> None:
    """The folder that it takes if none is named."""
    assert "/keys/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_has_no_keys_until_it_takes_the_component(overlay: str, tmp_path: Path) -> None:
    """Then registry, inference and retraining have theirs, read-only, as whole folders; and nothing else changes."""
    plain = {workload["metadata"]["name"]: environment(one) for workload, one in containers(rendered(overlay))}
    assert [name for name, given in plain.items() if {*KEYS} & {*given}] == []

    here = os.path.relpath(ROOT / "k8s", tmp_path.resolve())
    folder = {"resources": [f"{here}/overlays/{overlay}"], "components": [f"{here}/components/signed"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(folder))
    resources = rendered_at(tmp_path)
    assert [found for resource in resources for found in breaches(resource)] == []
    for workload, container in containers(resources):
        name, given = workload["metadata"]["name"], environment(container)
        found = settings(given)
        assert {*found} == GIVEN.get(name, set()), name
        assert {key: value for key, value in given.items() if key not in found} == plain[name]
        mounts = {mount["mountPath"]: mount for mount in container.get("volumeMounts", ())}
        volumes = {volume["name"]: volume for volume in pod(workload).get("volumes", ())}
        for variable, path in found.items():
            mount = mounts[str(path.parent)]
            assert mount["readOnly"] is True
            assert "subPath" not in mount
            source = volumes[mount["name"]]
            what = source["configMap"] if variable == "FRESHET_TRUST" else source["secret"]
            assert [item["path"] for item in what["items"]] == [path.name]
            assert variable == "FRESHET_TRUST" or what["defaultMode"] == 0o440


def test_elastic_slots_are_found_behind_the_component_too() -> None:
    """The patch for elastic slots counts in the list of inference's variables: ours stand behind what it counts."""
    patch = yaml.safe_load((ROOT / "k8s/components/signed/inference.yaml").read_text())
    assert [one["path"] for one in patch if "/env/" in one["path"]] == ["/spec/template/spec/containers/0/env/-"]
