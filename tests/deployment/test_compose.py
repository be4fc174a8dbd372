"""docker-compose.yml: valid, complete, and careful with what it opens. No container engine is needed."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from freshet.console.console_settings import ConsoleSettings
from freshet.gateway.gateway_settings import GatewaySettings
from freshet.lab import broker, server_files
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.service import ControlService, EdgeService, load_service
from freshet.runtime.settings import Settings
from freshet.webhook.webhook_settings import webhook_settings
from support.images import EDGES, ROOT, SERVICES
from support.metrics import mistakes

FILE: Final = ROOT / "docker-compose.yml"
COMPOSE: Final = yaml.safe_load(FILE.read_text())
ALL: Final[Mapping[str, Any]] = COMPOSE["services"]
OURS: Final = {name: service for name, service in ALL.items() if service["image"].startswith("freshet-")}
RUNNING: Final = {name: service for name, service in OURS.items() if service["command"][0] == "run"}
DASHBOARDS: Final = sorted((ROOT / "docker/grafana/dashboards").glob("*.json"))


def test_it_is_a_compose_file() -> None:
    """By the schema of the compose specification, which finds misspelt keys."""
    check = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, str(FILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_it_refers_to_is_there() -> None:
    """Services that others wait for, volumes, and files of this folder."""
    waited = {name for service in ALL.values() for name in service.get("depends_on", ())}
    assert waited <= {*ALL}
    mounts = [volume.split(":")[0] for service in ALL.values() for volume in service.get("volumes", ())]
    assert {mount for mount in mounts if not mount.startswith("./")} == {*COMPOSE["volumes"]}
    assert [mount for mount in mounts if mount.startswith("./") and not (ROOT / mount).exists()] == []


def test_every_service_runs_and_the_owners_once() -> None:
    """Each in its own image and with arguments that `freshet run` takes; each with a state folder of its own."""
    runs = [service["command"][1] for service in RUNNING.values()]
    assert {*runs} == {*SERVICES}
    assert [name for name in SERVICES if isinstance(load_service(name), ControlService) and runs.count(name) != 1] == []
    volumes = [service["volumes"][0] for service in RUNNING.values()]
    assert len({*volumes}) == len(volumes)
    for service in RUNNING.values():
        _, name, *options = service["command"]
        assert service["image"] == f"freshet-{name}:0.1.0"
        assert service["build"]["args"] == {"SERVICE": name}
        assert ("--pipelines" in options) != isinstance(load_service(name), ControlService | EdgeService)
        assert service["volumes"][0].endswith(":/var/lib/freshet")


@pytest.mark.parametrize("service", EDGES)
def test_services_at_the_edge_start_with_what_they_are_given(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their own settings; only the webhook, which needs a receiver, is run for whoever asks for it."""
    for name, value in ALL[service]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)))
    if service == "webhook":
        assert ALL[service]["profiles"] == ["webhook"]
        monkeypatch.setenv("FRESHET_WEBHOOK_URL", "https://example.org/hook")
        monkeypatch.setenv("FRESHET_WEBHOOK_SECRET", "s" * 16)
        assert str(webhook_settings().letters).startswith("/var/lib/freshet/")
        return
    if service == "subjects":  # schemas are no secret: it has no token
        assert "FRESHET_SUBJECTS_TOKEN" not in ALL[service]["environment"]
        return
    found = {"console": ConsoleSettings, "gateway": GatewaySettings}[service].load("0.0.0.0")
    assert len(found.token.get_secret_value()) >= 12


def test_our_processes_have_few_rights_and_time_to_leave() -> None:
    """Nothing but the state folder is written, no capability is kept, memory is bounded."""
    for name, service in OURS.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert [name for name, service in ALL.items() if "mem_limit" not in service] == []
    shutdown_s = Settings.model_fields["shutdown_s"].default
    assert {service["stop_grace_period"] for service in RUNNING.values()} == {"30s"}
    assert shutdown_s < 30


def test_only_this_machine_is_let_in() -> None:
    """Kafka asks nobody who they are, so no port is opened to the network; every image has a version."""
    ports = [port for service in ALL.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert [service["image"] for service in ALL.values() if not re.search(r":v?\d+\.\d+\.\d+$", service["image"])] == []


def test_prometheus_asks_every_process() -> None:
    """By its name and the images' port."""
    (job,) = yaml.safe_load((ROOT / "docker/prometheus.yml").read_text())["scrape_configs"]
    asked = [f"{name}:8080" for name, service in OURS.items() if name != "apply" and "profiles" not in service]
    assert job["static_configs"] == [{"targets": asked}]
    optional = [name for name, service in OURS.items() if "profiles" in service]
    assert job["dns_sd_configs"] == [{"names": optional, "type": "A", "port": 8080}]
    (rules,) = yaml.safe_load((ROOT / "docker/prometheus.yml").read_text())["rule_files"]
    assert f"./observability/alerts.yml:{rules}:ro" in ALL["prometheus"]["volumes"]


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    """What is provisioned fits together: the address, the source's id in every panel, the mounted folder."""
    provisioning = ROOT / "docker/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards/freshet.yml").read_text())["providers"]
    assert f"./docker/grafana/dashboards:{provider['options']['path']}:ro" in ALL["grafana"]["volumes"]
    assert DASHBOARDS
    panels = [panel for path in DASHBOARDS for panel in pictures(path)]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def pictures(dashboard: Path) -> list[dict[str, Any]]:
    """Its panels, without the titles of rows."""
    return [panel for panel in json.loads(dashboard.read_text())["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_asks_for_metrics_that_exist(dashboard: Path) -> None:
    """Each panel says what it shows, in which unit; none would stay empty for a misspelt metric or label."""
    for panel in pictures(dashboard):
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert [wrong for target in panel["targets"] for wrong in mistakes(target["expr"])] == []


@pytest.mark.slow
@pytest.mark.kafka
def test_kafka_takes_the_settings_that_its_container_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker of the same release starts with them; only ports, folder and formatting are this machine's."""
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in ALL["kafka"]["environment"].items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }
    door, control = "{loopback}:{client_port}", "{loopback}:{controller_port}"
    del given["controller.quorum.voters"]  # the container formats its folder for a fixed quorum, we for one that grows
    given |= {
        "controller.quorum.bootstrap.servers": control,
        "listeners": f"INSIDE://{door},CONTROLLER://{control}",
        "advertised.listeners": f"INSIDE://{door}",
        "log.dirs": "{data}",
    }
    text = "\n".join(f"{name}={value}" for name, value in given.items())
    monkeypatch.setattr(server_files, "_SERVER_PROPERTIES", f"{text}\n")
    try:
        servers = broker.up(tmp_path, say=print, environ={}).bootstrap_servers
        assert KafkaAdmin(servers).describe(["loans.events"]) == {}
    finally:
        broker.wipe(tmp_path, environ={})
