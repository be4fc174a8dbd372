"""The overlays of k8s/, rendered by kustomize, and the schemas that their resources must keep to."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest
import yaml

from support.images import ROOT

Resource = Mapping[str, Any]

OVERLAYS: Final = ("laptop", "production", "elastic")
WORKLOADS: Final = ("Deployment", "StatefulSet", "Job")

_BUILD_S: Final = 100.0
_KUSTOMIZE: Final = "sigs.k8s.io/kustomize/kustomize/v5@v5.8.2"
_RELEASE: Final = "1.37"
_CRDS: Final = "FRESHET_CRDS"
"""Environment variable: a folder with the CRDs of Strimzi, KEDA and the Prometheus operator, as YAML files."""


@cache
def rendered(overlay: str) -> Sequence[Resource]:
    """All resources of an overlay. Skips the test where there is neither kustomize nor a Go that can build it."""
    return rendered_at(ROOT / "k8s/overlays" / overlay)


def rendered_at(folder: Path) -> Sequence[Resource]:
    """The same for any folder."""
    command = [_kustomize(), "build", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(resources: Sequence[Resource], *kinds: str) -> list[Resource]:
    """The resources of these kinds."""
    return [resource for resource in resources if resource["kind"] in kinds]


def named(resources: Sequence[Resource], kind: str, name: str) -> Resource:
    """The one resource of this kind and name."""
    (found,) = (resource for resource in of_kind(resources, kind) if resource["metadata"]["name"] == name)
    return found


def pod(workload: Resource) -> Mapping[str, Any]:
    """The specification of a workload's pods."""
    spec: Mapping[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def labels(workload: Resource) -> Mapping[str, str]:
    """The labels of a workload's pods."""
    found: Mapping[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def environment(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `env` sets: a text, or where the value comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container.get("env", ())}


def breaches(resource: Resource) -> list[str]:
    """What is wrong with a resource by its schema, Kubernetes' own or a CRD's; unknown fields are wrong, too."""
    schema = _crds().get((resource["apiVersion"], resource["kind"]))
    if schema is not None:
        return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(resource)]
    try:
        kubernetes_validate.validate(resource, _RELEASE, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [str(error.message)]
    except kubernetes_validate.SchemaNotFoundError:
        return [] if not _crds() else ["no schema is known"]
    return []


def crds_are_there() -> bool:
    """Whether resources of operators can be looked at."""
    return bool(_crds())


@cache
def _crds() -> Mapping[tuple[str, str], Mapping[str, Any]]:
    folder = os.environ.get(_CRDS)
    files = sorted(Path(folder).glob("*.yaml")) if folder else []
    found = {}
    for crd in (document for file in files for document in yaml.safe_load_all(file.read_text())):
        for version in crd["spec"]["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
            found[f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]] = schema
    return found


def _strict(schema: Any) -> Any:
    """The schema, in which a field that it does not name is wrong, as a server with strict validation has it."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _strict(value) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict) and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    if found.pop("x-kubernetes-int-or-string", None) is True:
        found.pop("type", None)
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return found


@cache
def _kustomize() -> str:
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freshet/bin/kustomize"
    program = shutil.which("kustomize") or (str(cached) if cached.exists() else None)
    if program is not None:
        return program
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no kustomize, and no go to build it")
    try:
        subprocess.run(
            [go, "install", _KUSTOMIZE],
            env={**os.environ, "GOBIN": str(cached.parent)},
            capture_output=True,
            text=True,
            check=True,
            timeout=_BUILD_S,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"kustomize could not be built: {error} {error.stderr!r}"[:500])
    return str(cached)


def containers(resources: Sequence[Resource]) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    """Every container, with its workload."""
    for workload in of_kind(resources, *WORKLOADS):
        for container in [*pod(workload).get("initContainers", ()), *pod(workload)["containers"]]:
            yield workload, container
