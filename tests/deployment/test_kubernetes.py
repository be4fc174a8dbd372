"""The overlays of k8s/: rendered, held to the schemas, and to what must hold of every process. No cluster is needed."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
import yaml

from freshet.contracts.topic_table import TopicNames
from freshet.pipeline import load_folder
from freshet.runtime.service import ControlService, load_service
from freshet.runtime.settings import Settings
from support.images import EDGES, ROOT, SERVICES
from support.kubernetes import (
    OVERLAYS,
    WORKLOADS,
    Resource,
    breaches,
    containers,
    crds_are_there,
    environment,
    labels,
    named,
    of_kind,
    pod,
    rendered,
)
from support.metrics import mistakes, there_are

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OWNERS: Final = [name for name in SERVICES if isinstance(load_service(name), ControlService)]
PART: Final = {"app.kubernetes.io/part-of": "freshet"}
KAFKA_TRIGGER: Final = frozenset(
    {"bootstrapServers", "consumerGroup", "topic", "lagThreshold", "activationLagThreshold", "offsetResetPolicy"}
    | {"allowIdleConsumers", "excludePersistentLag", "limitToPartitionsWithLag", "ensureEvenDistributionOfPartitions"}
    | {"sasl", "tls"}
)
"""What KEDA 2.21 reads of such a trigger and we may use; its schema takes any key, so a misspelt one says nothing."""


@pytest.fixture(params=OVERLAYS)
def resources(request: pytest.FixtureRequest) -> Sequence[Resource]:
    """Each overlay, as kustomize renders it."""
    return rendered(request.param)


def test_resources_keep_to_their_schemas(resources: Sequence[Resource]) -> None:
    """Kubernetes' own always; those of operators where their CRDs are at hand."""
    wrong = {
        f"{resource['kind']} {resource['metadata']['name']}": found
        for resource in resources
        if (found := breaches(resource))
    }
    assert wrong == {}


def test_a_misspelt_field_would_be_found() -> None:
    """Else the check above could pass for what it does not look at."""
    for kind, field in (("StatefulSet", "replica"), ("NetworkPolicy", "podSelektor")):
        resource = json.loads(json.dumps(of_kind(rendered("production"), kind)[0]))
        resource["spec"][field] = 1
        assert breaches(resource), kind
    if not crds_are_there():
        return
    for kind in ("KafkaTopic", "KafkaUser", "Kafka", "KafkaNodePool", "PodMonitor", "PrometheusRule", "ScaledObject"):
        resource = json.loads(json.dumps(of_kind(rendered("elastic"), kind)[0]))
        resource["spec"]["replica"] = 1
        assert breaches(resource), kind


def test_every_process_has_few_rights(resources: Sequence[Resource]) -> None:
    """No root, no capability, no way to become more; ours write to no file of their image and hold no token."""
    for workload, container in containers(resources):
        name, own = container["name"], container["securityContext"]
        assert pod(workload)["securityContext"]["runAsNonRoot"] is True, name
        assert pod(workload)["securityContext"]["runAsUser"] > 0, name
        assert pod(workload)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert own["allowPrivilegeEscalation"] is False, name
        assert own["capabilities"] == {"drop": ["ALL"]}, name
        assert pod(workload)["automountServiceAccountToken"] is False, name
        assert own.get("readOnlyRootFilesystem") or name == "kafka", name


def test_every_process_has_limits_and_is_asked_how_it_is(resources: Sequence[Resource]) -> None:
    """CPU and memory are asked for and bounded; what runs for ever has all three probes, and time to leave."""
    for workload, container in containers(resources):
        asked = container["resources"]
        assert {*asked["requests"]} == {*asked["limits"]} == {"cpu", "memory"}, container["name"]
        if workload["kind"] == "Job":
            continue
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= {*container}, container["name"]
        assert pod(workload)["terminationGracePeriodSeconds"] > Settings.model_fields["shutdown_s"].default
    paths = {
        (kind, container[kind]["httpGet"]["path"])
        for workload, container in containers(resources)
        for kind in ("livenessProbe", "readinessProbe")
        if workload["kind"] != "Job" and labels(workload).items() >= PART.items()
    }
    assert paths == {("livenessProbe", "/live"), ("readinessProbe", "/ready")}


def test_every_service_runs_and_owners_never_twice(resources: Sequence[Resource]) -> None:
    """Who decides alone has one replica, is never replaced before it has ended, and is scaled by nobody."""
    ours = {w["metadata"]["name"]: w for w in of_kind(resources, *WORKLOADS) if labels(w).items() >= PART.items()}
    assert {*ours} == {*SERVICES, "apply", "observe"}
    for name in SERVICES:
        (container,) = pod(ours[name])["containers"]
        assert container["args"][:2] == ["run", name]
        assert container["image"] == f"freshet-{name}:0.1.0"
        assert ("--pipelines" in container["args"]) == (name not in (*OWNERS, *EDGES))
        assert {"name": "state", "mountPath": "/var/lib/freshet"} in container["volumeMounts"]
    for name in OWNERS:
        assert ours[name]["kind"] == "Deployment"
        assert ours[name]["spec"]["replicas"] == 1
        assert ours[name]["spec"]["strategy"] == {"type": "Recreate"}
    assert OWNERS
    scaled = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in of_kind(resources, "ScaledObject")]
    assert not {*scaled} & {*OWNERS}


def test_slots_are_fixed_unless_an_autoscaler_says_how_many(resources: Sequence[Resource]) -> None:
    """A fixed slot is the pod's ordinal, and outlives it; a scaled service has elastic slots and no count."""
    scaled = {scaler["spec"]["scaleTargetRef"]["name"] for scaler in of_kind(resources, "ScaledObject")}
    ordinal = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
    for workload in of_kind(resources, "StatefulSet"):
        name = workload["metadata"]["name"]
        if name == "kafka":
            continue
        given = environment(pod(workload)["containers"][0])
        assert given.get("FRESHET_SLOTS", "fixed") == ("elastic" if name in scaled else "fixed"), name
        assert given.get("FRESHET_SLOT") == (None if name in scaled else ordinal), name
        assert ("replicas" in workload["spec"]) == (name not in scaled), name
        assert workload["spec"]["podManagementPolicy"] == "Parallel", name


def test_every_service_has_a_disruption_budget(resources: Sequence[Resource]) -> None:
    """Of its own pods; a node with the only process of a service can still be emptied."""
    budgets = {b["metadata"]["name"]: b["spec"] for b in of_kind(resources, "PodDisruptionBudget")}
    assert {*budgets} == {*SERVICES}
    for name, spec in budgets.items():
        assert spec == {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": name}}}


def test_the_network_is_closed_but_for_kafka_names_and_metrics(resources: Sequence[Resource]) -> None:
    """Every pod of ours is held to the policies; what they may reach is the port of the Kafka that they are told."""
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(resources, "NetworkPolicy")}
    of_all = {name for name, spec in policies.items() if spec["podSelector"] == {"matchLabels": PART}}
    assert of_all == {"freshet-nobody", "freshet-names", "freshet-metrics", "freshet-kafka"}
    assert {*policies} - of_all == {"freshet-callers", "freshet-receiver"}
    assert policies["freshet-nobody"]["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policies["freshet-nobody"]
    assert "ingress" not in policies["freshet-nobody"]
    (settings,) = of_kind(resources, "ConfigMap")
    (egress,) = policies["freshet-kafka"]["egress"]
    port = int(settings["data"]["KAFKA_BOOTSTRAP_SERVERS"].rpartition(":")[2])
    assert egress["ports"] == [{"protocol": "TCP", "port": port}]


def test_the_edge_is_open_to_callers_only_and_the_webhook_reaches_only_https(resources: Sequence[Resource]) -> None:
    """Those that are asked from namespaces that somebody labelled; they hold no secret that is in these files."""
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(resources, "NetworkPolicy")}
    (asked,) = policies["freshet-callers"]["podSelector"]["matchExpressions"]
    callable_ = {asked_service["metadata"]["name"] for asked_service in of_kind(resources, "Service")} & {*EDGES}
    assert {*asked["values"]} == callable_ == {"console", "gateway", "subjects"}
    assert policies["freshet-callers"]["policyTypes"] == ["Ingress"]
    assert policies["freshet-receiver"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "webhook"}}
    assert policies["freshet-receiver"]["egress"] == [{"ports": [{"protocol": "TCP", "port": 443}]}]
    for kind, name in (("Deployment", "console"), ("Deployment", "gateway"), ("StatefulSet", "webhook")):
        (container,) = pod(named(resources, kind, name))["containers"]
        secrets = {e["name"]: e for e in container["env"] if e["name"].endswith(("_TOKEN", "_SECRET", "_WEBHOOK_URL"))}
        assert secrets
        assert {e["valueFrom"]["secretKeyRef"]["name"] for e in secrets.values()} == {f"freshet-{name}"}


def test_the_webhook_runs_once_a_receiver_is_known_and_keeps_its_letters(resources: Sequence[Resource]) -> None:
    """None at first; what it could not deliver outlives the pod."""
    webhook = named(resources, "StatefulSet", "webhook")
    assert webhook["spec"]["replicas"] == 0
    (claim,) = webhook["spec"]["volumeClaimTemplates"]
    (container,) = pod(webhook)["containers"]
    (mounted,) = (m["mountPath"] for m in container["volumeMounts"] if m["name"] == claim["metadata"]["name"])
    assert environment(container)["FRESHET_WEBHOOK_LETTERS"].startswith(f"{mounted}/")


def mounted(workload: Resource, container: Resource) -> dict[str, tuple[str, str]]:
    """Each file that a container is given of secrets: of which one, and of which key."""
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    return {
        f"{mounts[volume['name']]}/{item['path']}": (source["secret"]["name"], item["key"])
        for volume in pod(workload)["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        for item in source["secret"]["items"]
    }


@pytest.mark.parametrize("overlay", ["production", "elastic"])
def test_each_workload_logs_in_as_its_own_user(overlay: str, tmp_path: Path) -> None:
    """Over TLS, with a password that Strimzi makes for a user whose rights are generated, in a file."""
    resources = rendered(overlay)
    users = {user["metadata"]["name"] for user in of_kind(resources, "KafkaUser")}
    for workload, container in containers(resources):
        user = f"freshet-{container['name'].replace('apply', 'cli')}"
        given = environment(container)
        assert user in users
        login = json.loads(given["FRESHET_KAFKA"])
        assert (login["sasl.username"], login["security.protocol"]) == (user, "SASL_SSL")
        there = mounted(workload, container)
        assert there[login["ssl.ca.location"]] == ("kafka-cluster-ca-cert", "ca.crt")
        password = login.pop("sasl.password.file")
        assert there[password] == (user, "password")
        file = tmp_path / user
        file.write_text("of-a-test")
        settings = Settings(  # type: ignore[call-arg]
            KAFKA_BOOTSTRAP_SERVERS="kafka", kafka={**login, "sasl.password.file": str(file)}
        )
        assert settings.kafka == {**login, "sasl.password": "of-a-test"}


def test_autoscalers_look_at_our_groups() -> None:
    """Their topics and groups are ours, their keys are KEDA's, and there is never a process without a partition."""
    spec, _, _ = load_folder(ROOT / "pipelines/loans")
    names = TopicNames("", spec.pipeline)
    inputs = {"ingestion": "events", "inference": "features"}
    scalers = {scaler["metadata"]["name"]: scaler["spec"] for scaler in of_kind(rendered("elastic"), "ScaledObject")}
    assert {*scalers} == {*inputs}
    for name, scaler in scalers.items():
        (trigger,) = scaler["triggers"]
        metadata = trigger["metadata"]
        assert {*metadata} <= KAFKA_TRIGGER
        assert (metadata["topic"], metadata["consumerGroup"]) == (names.topic(inputs[name]), names.group(name))
        assert 1 <= scaler["minReplicaCount"] <= scaler["maxReplicaCount"] == spec.partitions
        target = scaler["scaleTargetRef"]
        assert named(rendered("elastic"), target["kind"], target["name"])


def test_alerts_ask_for_metrics_that_exist() -> None:
    """Each with a sentence for a person; the labels that it names are those that its expression leaves."""
    (rules,) = of_kind(rendered("production"), "PrometheusRule")
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"]]
    assert len(alerts) > 5
    for alert in alerts:
        assert [*mistakes(alert["expr"])] == []
        left = {label.strip() for group in re.findall(r"by \(([^)]*)\)", alert["expr"]) for label in group.split(",")}
        if not left:  # nothing is summed up, so the metric's own labels stay
            left = {label for name, has in there_are().items() if name in alert["expr"] for label in has}
        texts = alert["annotations"]["summary"] + alert["annotations"]["description"]
        assert {*re.findall(r"\$labels\.(\w+)", texts)} <= left, alert["alert"]
        assert alert["labels"]["severity"] in ("page", "ticket")


def test_kafka_of_production_keeps_what_it_acknowledged() -> None:
    """Three replicas, two of which must have a record; a release without the fault that loses events."""
    spec = named(rendered("production"), "Kafka", "kafka")["spec"]["kafka"]
    assert re.fullmatch(r"4\.[012]\.\d+", spec["version"])
    copies = ("default.replication.factor", "offsets.topic.replication.factor")
    assert {spec["config"][f] for f in (*copies, "transaction.state.log.replication.factor")} == {3}
    assert {spec["config"][f] for f in ("min.insync.replicas", "transaction.state.log.min.isr")} == {2}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    (kafka,) = (c for _, c in containers(rendered("laptop")) if c["name"] == "kafka")
    assert kafka["image"] == compose["services"]["kafka"]["image"]
