"""The secured local broker: every principal may do what topics.yaml says, and is refused all else."""

import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from freshet.contracts.shipped import pipelines_dir
from freshet.contracts.topic_table import EVERY_SERVICE, TopicNames, topic_table
from freshet.drift.service import SERVICE as DRIFT
from freshet.lab import broker
from freshet.lab.local_deployment import LocalDeployment
from freshet.lab.logins import Logins
from freshet.operate.broker_record import ADMIN, login_file
from freshet.operate.requirements import REQUIREMENTS
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.grants import KafkaGrants
from freshet.runtime.bus.kafka.groups import KafkaGroups
from freshet.runtime.process import EXIT_SETTINGS
from freshet.runtime.reading import everything
from freshet.runtime.rights import PRINCIPALS, Right, user_name
from support.attempts import Told, commits, connects, reads, transactions, writes
from support.gateway import OpenGateway
from support.ingestion import loan
from support.services import Process, free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

NAMES: Final = TopicNames("t1.", "loans")
ALONE: Final = TopicNames("t1.")
PARTS: Final = {DRIFT.name: tuple(part.name for part in DRIFT.services)}
SERVICES: Final = ("ingestion", "inference", "drift", "registry", "retraining")
TOPICS: Final = {role: NAMES.topic(role) for role in topic_table()}

LOGS: Final = logging.getLogger("of-refused-clients")
LOGS.disabled = True  # the client logs each refusal, several times


@dataclass(frozen=True)
class Place:
    """A folder with a secured broker, on which the loans pipeline is applied."""

    root: Path
    servers: str
    logins: Logins

    def client(self, principal: str, **other: str) -> dict[str, Any]:
        """Settings of a client of this principal."""
        return {"bootstrap.servers": self.servers, **self.logins.login(principal), **other, "logger": LOGS}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One broker for all tests of this file; after them nothing is left of it."""
    root = tmp_path_factory.mktemp("secured")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
        try:
            endpoint = broker.up(root, say=print, secure=True)
            made = Place(root, endpoint.bootstrap_servers, Logins.at(root, endpoint))
            with LocalDeployment(
                made.servers, NAMES.namespace, pipelines_dir() / "loans", root / "logs", logins=made.logins
            ) as stage:
                stage.apply()
            yield made
        finally:
            broker.wipe(root)
        assert not (root / ".local/kafka").exists()


def test_keys_and_passwords_are_for_their_owner_and_stay(place: Place) -> None:
    """A second `up`, with or without the option, finds the same; no log holds a password."""
    folder = login_file(place.root, ADMIN).parents[1]
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    for secure in (True, False):
        assert broker.up(place.root, say=print, secure=secure).bootstrap_servers == place.servers
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    log = (folder.parent / "broker.log").read_text()
    assert not any(place.logins.login(principal)["sasl.password"] in log for principal in (ADMIN, *PRINCIPALS))


def test_nobody_comes_in_without_tls_a_password_and_trust(place: Place) -> None:
    """Plainly, with a wrong password, as somebody else, or trusting only certificates of others."""
    assert connects(place.client("drift"))
    assert not connects({"bootstrap.servers": place.servers, "logger": LOGS})
    others = (
        {"sasl.password": "wrong"},
        {"sasl.username": "freshet-registry"},
        {"sasl.username": "nobody"},
        {"security.protocol": "SASL_PLAINTEXT"},
        {"security.protocol": "SSL"},
        {"ssl.ca.location": ""},
    )
    with ThreadPoolExecutor(len(others)) as pool:
        came_in = pool.map(lambda other: connects(place.client("drift", **other)), others)
        assert [other for other, came in zip(others, came_in, strict=True) if came] == []


def roles_of(principal: str) -> set[str]:
    """Under which names topics.yaml knows this principal."""
    everybody = {EVERY_SERVICE} if principal in SERVICES else set()
    return {*PARTS.get(principal, (principal,)), *everybody}


def owners_of_groups() -> dict[str, set[str]]:
    """Who may commit for each consumer group."""
    parts = {part: principal for principal in SERVICES[:3] for part in PARTS.get(principal, (principal,))}
    return {
        **{NAMES.group(part): {principal} for part, principal in parts.items()},
        ALONE.reader_group: {*PRINCIPALS} - {"producers", "consumers"},
        ALONE.group("webhook") + "hook": {"webhook"},
        f"{NAMES.namespace}consumers.app": {"consumers"},
        f"{NAMES.namespace}somebody": set(),
    }


def owners_of_ids() -> dict[str, set[str]]:
    """Who may take over each transactional id."""
    parts = {part: principal for principal in SERVICES[:3] for part in PARTS.get(principal, (principal,))}
    return {
        **{NAMES.transactional_id(part, "0"): {principal} for part, principal in parts.items()},
        ALONE.transactional_id("registry", "owner"): {"registry"},
        ALONE.transactional_id("retraining", "owner"): {"retraining"},
        ALONE.transactional_id("cli", "redrive"): {"cli", "console"},
        ALONE.transactional_id("webhook", "hook"): {"webhook"},
        f"{NAMES.namespace}somebody": set(),
    }


def tried(place: Place, principal: str) -> dict[str, Told]:
    """Everything that this principal can try, and what came of it."""
    client = place.client(principal)
    topics = [*TOPICS.values()]
    return {
        "Read": reads(client, topics),
        "Write": writes(client, topics),
        "group": commits(client, owners_of_groups(), NAMES.topic("predictions")),
        "id": transactions(client, owners_of_ids()),
    }


def expected(principal: str) -> dict[str, Told]:
    """What must come of it, by topics.yaml alone."""
    who, table = roles_of(principal), topic_table()
    topic, group, id_ = (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    )
    may_read = who & {*table["predictions"].readers}
    return {
        "Read": {name: None if who & {*table[role].readers} else topic for role, name in TOPICS.items()},
        "Write": {name: None if who & {*table[role].writers} else topic for role, name in TOPICS.items()},
        "group": {
            name: (None if may_read else topic) if principal in owners else group
            for name, owners in owners_of_groups().items()
        },
        "id": {name: None if principal in owners else id_ for name, owners in owners_of_ids().items()},
    }


def found_by_doctor(place: Place, login: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What `freshet doctor --requirements` says as this user, by what it is about: how it is, and what was seen."""
    where = {"KAFKA_BOOTSTRAP_SERVERS": place.servers, "FRESHET_NAMESPACE": NAMES.namespace}
    done = subprocess.run(
        [sys.executable, "-m", "freshet.cli", "doctor", "--requirements", "--json"],
        env={**os.environ, **where, "FRESHET_KAFKA": json.dumps(dict(login))},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    found = {line["about"]: (line["health"], line["seen"]) for line in json.loads(done.stdout)}
    assert done.returncode == (4 if any(health == "bad" for health, _ in found.values()) else 0)
    assert "Traceback" not in done.stderr
    return found


ALL: Final = [one.about for one in REQUIREMENTS]


def test_doctor_finds_all_that_freshet_needs(place: Place) -> None:
    """But copies: this is a single broker. And leaves nothing behind: no topic, no group."""
    admin = KafkaGroups(place.servers, extra=place.logins.login(ADMIN))
    found = found_by_doctor(place, place.logins.login(ADMIN))
    assert found.keys() == {*ALL}
    assert found.pop("copies")[0] == "warn"
    assert {health for health, _ in found.values()} == {"ok"}, found
    left = [*admin.names(), *admin.groups(NAMES.namespace)]
    assert [name for name in left if "doctor" in name] == []


def test_doctor_names_the_size_that_is_too_small(place: Place) -> None:
    """On topics with a size of their own nothing is missing."""
    limit = {"message.max.bytes": "100000"}
    admin = AdminClient(place.client(ADMIN))
    entries = [ConfigEntry(name, text, incremental_operation=AlterConfigOpType.SET) for name, text in limit.items()]
    small = ConfigResource(ResourceType.BROKER, "1", incremental_configs=entries)
    usual = ConfigResource(
        ResourceType.BROKER,
        "1",
        incremental_configs=[ConfigEntry(name, "", incremental_operation=AlterConfigOpType.DELETE) for name in limit],
    )
    admin.incremental_alter_configs([small])[small].result(30)
    try:
        found = found_by_doctor(place, place.logins.login(ADMIN))
    finally:
        admin.incremental_alter_configs([usual])[usual].result(30)
    assert [about for about, (health, _) in found.items() if health == "bad"] == ["records of 512 KiB"]
    assert "t1.freshet.doctor-" in found["records of 512 KiB"][1]


@pytest.mark.parametrize(
    ("without", "unmet"),
    [
        (Right("topic", "t1.", ("Create",), prefix=True), [about for about in ALL if about != "release"]),
        (
            Right("transactionalId", "t1.", ("Write",), prefix=True),
            ["transactions", "fencing and isolation"],
        ),
        (Right("group", "t1.", ("Delete",), prefix=True), ["topics and groups can be deleted"]),
    ],
)
def test_doctor_names_the_right_that_is_missing(place: Place, without: Right, unmet: list[str]) -> None:
    """What cannot be tried for want of topics is told as that, and is not called bad."""
    operations = {
        "topic": ("Create", "Read", "Write", "Delete", "DescribeConfigs"),
        "group": ("Read", "Delete"),
        "transactionalId": ("Write",),
    }
    rights = [
        Right(kind, "t1.", (operation,), prefix=True)  # type: ignore[arg-type]
        for kind, allowed in operations.items()
        for operation in allowed
    ]
    assert without in rights
    user = f"operator-without-{without.kind}"
    admin = KafkaGrants(place.servers, extra=place.logins.login(ADMIN))
    admin.set_passwords({user: "of-a-test"})
    admin.grant({user: [right for right in rights if right != without]})
    login = {**place.logins.login(ADMIN), "sasl.username": user, "sasl.password": "of-a-test"}
    found = found_by_doctor(place, login)
    short = {about for about, (health, _) in found.items() if health != "ok"}
    assert short | {"copies"} == {*unmet, "copies"}, found  # of a single broker they are never well
    about = next(about for about, (health, _) in found.items() if health == "bad")
    assert "uthorization failed" in found[about][1]


def test_console_and_gateway_have_the_rights_that_they_need(place: Place, tmp_path: Path) -> None:
    """The console shows the pipeline with its lag; the gateway takes an event. Neither asks for another right."""
    for service, ready in (("console", "/live"), ("gateway", "/ready")):
        log, port = tmp_path / service, str(free_port())
        here = OpenGateway(f"http://127.0.0.1:{port}")
        login = place.logins.login(service)
        with Process(place.servers, NAMES.namespace, log, service, "--http-port", port, kafka=login) as process:
            here.wait(ready)
            if service == "gateway":
                label = {"event_id": "first", "entity": "Ada", "label": "approved"}
                assert here.post("/pipelines/loans/events", loan())[0] == 202
                assert here.post("/pipelines/loans/labels", label)[0] == 202
            else:
                until(lambda: "loans" in here.get("/"), "the pipeline")  # noqa: B023
                assert "loans" in here.get("/pipelines/loans")
                assert "loans" in here.get("/pipelines/loans/dead-letters")
            assert process.terminate() == 0
        assert "Grant" not in log.read_text()
        assert "AUTHORIZATION_FAILED" not in log.read_text()


@pytest.mark.parametrize(
    ("service", "operation", "role"),
    [("retraining", "Read", "models"), ("drift", "Read", "features"), ("drift", "Write", "workers")],
)
def test_a_service_whose_right_is_missing_names_it(
    place: Place, tmp_path: Path, service: str, operation: str, role: str
) -> None:
    """Which right, and on what. It ends with 2, unless other loops go on, or it can do without for a while
    (tests/integration/test_rights.py takes every single right of the other services).
    """
    topic, user = NAMES.topic(role), user_name(service)
    missing = {user: [Right("topic", topic, (operation,))]}
    admin = KafkaGrants(place.servers, extra=place.logins.login(ADMIN))
    admin.revoke(missing)
    pipelines = () if service == "retraining" else ("--pipelines", "loans")
    login = place.logins.login(service)
    try:
        with Process(place.servers, NAMES.namespace, tmp_path / "log", service, *pipelines, kafka=login) as process:
            wanted = f"Grant the user of FRESHET_KAFKA {operation.upper()} on topic {topic}"
            until(lambda: any(wanted in str(line.get("error")) for line in process.lines()), wanted)
            if service == "retraining":
                assert process.ended() == EXIT_SETTINGS
                assert wanted in process.log("settings")[-1]["error"]
    finally:
        admin.grant(missing)


@pytest.mark.faults  # two minutes: three services, and Faust
def test_both_sources_of_detection_flow_through_faust_over_tls(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SCRAM, as the principal of drift: what strangers wrote is read, set aside as dead letters, and committed."""
    login = place.logins.login("drift")
    assert (login["security.protocol"], login["sasl.mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    bus = KafkaBus(place.servers, NAMES, extra=place.logins.login(ADMIN))
    admin = KafkaAdmin(place.servers, extra=place.logins.login(ADMIN))
    sources = {"drift-detect": "outcomes", "drift-compare": "profiles"}
    for _ in range(10):
        writes(place.client("drift"), [NAMES.topic(role) for role in sources.values()])
    ends = {service: bus.spans(role)[0].end for service, role in sources.items()}

    def done(service: str) -> bool:
        at = admin.committed(NAMES.group(service), NAMES.topic(sources[service])).get(0)
        return at is not None and at.offset == ends[service]

    monkeypatch.setenv("FRESHET_DRIFT_ENGINE", "faust")
    log = tmp_path / "log"
    with Process(place.servers, NAMES.namespace, log, "drift", "--pipelines", "loans", kafka=login) as process:
        for service in sources:
            until(lambda: done(service), f"{service} to commit")  # noqa: B023
        assert process.terminate() == 0
    assert "AUTHORIZATION_FAILED" not in log.read_text()
    records = [record for batch in everything(bus, "dead-letters") for record in batch.records]
    letters = [dict(record.headers() or ()) for record in records]
    for service in sources:
        assert sum(letter.get("freshet.service") == service.encode() for letter in letters) >= 10


def test_each_principal_may_do_what_is_its_own_and_nothing_else(place: Place) -> None:
    """All topics, groups and transactional ids, by each principal: what is not allowed is refused, what is passes.

    The last test of this file: it leaves records that no service can read.
    """
    with ThreadPoolExecutor(4) as pool:
        told = dict(zip(PRINCIPALS, pool.map(lambda one: tried(place, one), PRINCIPALS), strict=True))
    unlike = {
        (principal, kind, name): (got, want)
        for principal in PRINCIPALS
        for kind, wanted in expected(principal).items()
        for name, want in wanted.items()
        if (got := told[principal][kind].get(name)) != want
    }
    assert unlike == {}
    for kind in ("Read", "Write", "group", "id"):
        answers = [code for principal in PRINCIPALS for code in told[principal][kind].values()]
        passed = answers.count(None)
        print(f"{kind}: {len(answers)} attempts, {passed} passed, {len(answers) - passed} refused")  # noqa: T201
        assert 0 < passed < len(answers) / 2
