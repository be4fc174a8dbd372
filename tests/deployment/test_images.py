"""The services' images: linted, and each built without an engine, then started as compose and Kubernetes start it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final

import pytest

from support.images import (
    DOCKERFILE,
    EDGES,
    LOCKS,
    ROOT,
    SERVICES,
    Image,
    health_command,
    libraries_of_the_system,
    pins,
    stages,
)
from support.services import free_port, until

BUILD, FINAL = stages(DOCKERFILE.read_text())
USER: Final = 10001
BASE_LIBRARIES: Final = frozenset(
    f"{name}.so.{number}"
    for name, number in {
        "libc": 6,
        "libdl": 2,
        "libm": 6,
        "libpthread": 0,
        "librt": 1,
        "libutil": 1,
        "libgcc_s": 1,
        "libstdc++": 6,
        "libz": 1,
    }.items()
)
"""What the base image has: glibc's own, those of the C++ compiler, and zlib."""
INSTALLED: Final = {"retraining": {"libgomp.so.1"}}


def test_the_linter_has_nothing_to_say() -> None:
    """Hadolint, which knows what usually goes wrong in a Dockerfile."""
    linter = shutil.which("hadolint", path=f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if linter is None:
        pytest.skip("hadolint is not installed: its package has no wheel for this machine")
    done = subprocess.run([linter, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_nobody_of_importance_and_is_told_to_stop() -> None:
    """Not as root; the process that gets SIGTERM is Freshet itself and no shell; health is asked for."""
    last = {step.instruction: step for step in FINAL}
    assert last["USER"].text == f"{USER}:{USER}"
    assert last["ENTRYPOINT"].text.startswith("[")
    assert last["CMD"].text.startswith("[")
    assert last["STOPSIGNAL"].text == "SIGTERM"
    assert health_command(FINAL)


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_the_versions_that_were_tested(service: str) -> None:
    """A lock of an image names the versions of requirements.lock, and all that its extra asks for."""
    tested, pinned = pins(ROOT / "requirements.lock"), pins(LOCKS / f"{service}.lock")
    assert [name for name, pin in pinned.items() if name not in tested or tested[name].version != pin.version] == []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = [line.split(">=")[0] for line in extras[service] if not line.startswith("freshet[")]
    assert {*asked} <= {*pinned}
    assert "pytest" not in pinned


@pytest.mark.parametrize(
    ("service", "module"),
    [
        ("console", "console.serving"),
        ("gateway", "gateway.listening"),
        ("webhook", "webhook.service"),
        ("subjects", "subjects.service"),
    ],
)
def test_a_service_at_the_edge_needs_no_package_but_its_own(service: str, module: str) -> None:
    """All that this environment has beside is hidden: else only a start from the image would show what is missing."""
    kept = {re.sub(r"[-_.]+", "-", name).lower() for name in pins(LOCKS / f"{service}.lock")} | {"freshet"}
    hidden = [
        package
        for package, owners in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & kept
    ]
    assert {"onnx", "onnxruntime"} <= {*hidden}
    program = f"import sys; sys.modules.update(dict.fromkeys({hidden})); import freshet.{module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", params=SERVICES)
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    """Each service's image, built once: the first time, its packages are fetched."""
    with tempfile.TemporaryDirectory(prefix="freshet-image-") as folder:
        made = Image(request.param, Path(folder))
        made.build()
        made.environment |= own_settings(made)
        yield made


def own_settings(image: Image) -> dict[str, str]:
    """What a service at the edge does not start without; nobody receives what the webhook sends."""
    secret = "of-this-test-alone"
    return {
        "console": {"FRESHET_CONSOLE_TOKEN": secret},
        "gateway": {"FRESHET_GATEWAY_TOKEN": secret},
        "webhook": {
            "FRESHET_WEBHOOK_URL": "http://127.0.0.1:9/",
            "FRESHET_WEBHOOK_SECRET": secret,
            "FRESHET_WEBHOOK_LETTERS": image.inside("/var/lib/freshet/letters.jsonl"),
        },
    }.get(image.service, {})


def pipelines_of(image: Image) -> tuple[str, ...]:
    """The arguments that say which pipelines it serves, where it is not for all of them."""
    return () if image.service in ("registry", "retraining", *EDGES) else ("--pipelines", "loans")


@contextmanager
def running(image: Image, *arguments: str, **more: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path, int]]:
    """The image's entry point with the image's settings; it must write to its state folder alone. Killed at the end."""
    port, log = free_port(), image.root / "var/log.jsonl"
    environment = {**image.environment, **more, "FRESHET_HTTP_PORT": str(port), "FRESHET_HTTP_HOST": "127.0.0.1"}
    (entry,) = (step.words for step in FINAL if step.instruction == "ENTRYPOINT")
    program = shutil.which(entry[0], path=environment["PATH"])
    assert program == f"{image.root}/opt/freshet/bin/freshet"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, *entry[1:], *arguments],
            env=environment,
            cwd=image.root / "var/lib/freshet",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    before = files(image)
    try:
        yield process, log, port
    finally:
        process.kill()
        process.wait()
    assert files(image) == before  # so its root can be read-only


def files(image: Image) -> set[tuple[Path, int]]:
    """All files outside the state folder, with the time of their last change; the log is this test's own."""
    found = (path for path in image.root.rglob("*") if "var" not in path.relative_to(image.root).parts[:1])
    return {(path, path.lstat().st_mtime_ns) for path in found if not path.is_dir()}


def answer(port: int, path: str) -> tuple[int, str]:
    """Status and text; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as found:
            return found.status, found.read().decode().strip()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode().strip()
    except OSError:
        return 0, ""


def lines(log: Path) -> list[Mapping[str, Any]]:
    """Its log so far."""
    return [json.loads(line) for line in log.read_text().rpartition("\n")[0].splitlines()]


@pytest.mark.images
@pytest.mark.kafka
@pytest.mark.timeout(1800)
def test_an_image_serves_and_ends_in_order(image: Image, kafka: str, namespace: str) -> None:
    """Built from its lock alone, it becomes ready (inference waits for a model), is healthy, and ends on SIGTERM."""
    where = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace}
    folder = str(image.root / "context/pipelines/loans")
    with running(image, "apply", "--file", folder, **where) as (applied, log, _):
        assert applied.wait(60) == 0, log.read_text()
    with running(image, "run", image.service, *pipelines_of(image), **where) as (process, log, port):
        ready = (503, "") if image.service == "inference" else (200, "yes")
        seen: list[tuple[int, str]] = []

        def as_it_should_be() -> bool:
            seen.append(answer(port, "/ready"))
            status, text = seen[-1]
            return (status, text) == ready or (ready[0] == status == 503 and "model" in text)

        try:
            until(as_it_should_be, "its answer at /ready")
        except AssertionError:
            pytest.fail(f"{seen[-1]}\n{log.read_text()[-4000:]}")
        python, *check = health_command(FINAL)
        asked = {**image.environment, "FRESHET_HTTP_PORT": str(port)}
        found = shutil.which(python, path=asked["PATH"])
        assert found == f"{image.root}/opt/freshet/bin/python"
        assert subprocess.run([found, *check], env=asked, timeout=30, check=False).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert [line for line in lines(log) if line["level"] in ("error", "critical")] == []
        assert subprocess.run([found, *check], env=asked, timeout=30, check=False, capture_output=True).returncode == 1


@pytest.mark.images
@pytest.mark.kafka
@pytest.mark.timeout(1800)
def test_an_image_has_every_shared_library(image: Image) -> None:
    """This machine may have what the base image lacks: whatever wheels take from the system is known."""
    taken = libraries_of_the_system(image.root / "opt/freshet")
    lacking = {name: who for name, who in taken.items() if name not in BASE_LIBRARIES}
    assert {*lacking} == INSTALLED.get(image.service, set()), lacking


@pytest.mark.images
@pytest.mark.kafka
@pytest.mark.timeout(1800)
def test_an_image_waits_for_kafka_in_good_health(image: Image) -> None:
    """Without a broker it is alive, not ready, and says whom it waits for: it is not restarted for that."""
    nobody = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    with running(image, "run", image.service, *pipelines_of(image), **nobody) as (process, log, port):
        said = "no_answer" if image.service in EDGES else "waiting_for_kafka"
        until(lambda: any(line["event"] == said for line in lines(log)), "its word")
        assert answer(port, "/live") == (200, "yes")
        status, why = answer(port, "/ready")
        assert status == 503
        assert nobody["KAFKA_BOOTSTRAP_SERVERS"] in why if image.service in EDGES else why == "starting"
        assert process.poll() is None
