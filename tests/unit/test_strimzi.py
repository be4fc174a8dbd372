"""Strimzi's topics and users follow from schemas/topics.yaml, and give nobody more than its topics ask."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from freshet.contracts.topic_table import EVERY_SERVICE, TopicNames, topic_table
from freshet.drift.service import SERVICE as DRIFT
from freshet.runtime.service import service_names
from tools.strimzi import PRINCIPALS, Pipeline, Right, rights, topics, users
from tools.strimzi.__main__ import as_text, main

COMMITTED: Final = Path(__file__).parents[2] / "k8s/components/strimzi"
LOANS: Final = [Pipeline("loans", 6)]
PARTS: Final = {DRIFT.name: {part.name for part in DRIFT.services}}
PEOPLE: Final = {"cli", "console", "gateway", "observe", "subjects", "webhook", "producers", "consumers"}


def on_topics(principal: str, namespace: str = "") -> Iterator[Right]:
    """Its rights on topics."""
    return (right for right in rights(principal, namespace, ["loans"]) if right.kind == "topic")


def test_what_is_committed_is_what_the_tool_writes() -> None:
    """After a change of topics.yaml: python -m tools.strimzi k8s/components/strimzi --pipeline loans=6."""
    assert (COMMITTED / "topics.yaml").read_text() == as_text(topics("kafka", "", LOANS))
    assert (COMMITTED / "users.yaml").read_text() == as_text(users("kafka", "", LOANS))


def test_topics_have_names_that_kubernetes_takes() -> None:
    """It knows neither capitals nor underscores; the topic's own name stays."""
    made = {t["spec"]["topicName"]: t["metadata"]["name"] for t in topics("kafka", "T1_", LOANS)}
    assert made["T1_loans.events"] == "t1-loans.events"
    assert len({*made.values()}) == len(made) > 20


def test_every_service_is_a_principal() -> None:
    """One that is forgotten could not log in to a secured Kafka."""
    assert {*service_names()} <= {*PRINCIPALS}


@pytest.mark.parametrize("operation", ["Read", "Write"])
@pytest.mark.parametrize("principal", PRINCIPALS)
def test_a_principal_may_use_its_topics_and_no_other(principal: str, operation: str) -> None:
    """By topics.yaml: nobody may write where another role writes."""
    roles = PARTS.get(principal, {principal}) | ({EVERY_SERVICE} if principal not in PEOPLE else set())
    who = {role: topic.readers if operation == "Read" else topic.writers for role, topic in topic_table().items()}
    names = TopicNames("t1.", "loans")
    expected = {names.topic(role) for role, allowed in who.items() if roles & {*allowed}}
    assert {right.name for right in on_topics(principal, "t1.") if operation in right.operations} == expected
    assert not any(right.prefix for right in on_topics(principal))


def test_services_can_do_nothing_but_read_write_and_ask_for_sizes() -> None:
    """None may make, alter or delete a topic, or do anything to the cluster."""
    used = {
        operation for principal in PRINCIPALS for r in rights(principal, "", ["loans"]) for operation in r.operations
    }
    assert used == {"Read", "Write", "DescribeConfigs", "Describe"}
    assert {operation for right in on_topics("producers") for operation in right.operations} == {"Write"}
    assert [right.name for right in on_topics("producers")] == ["loans.events", "loans.feedback"]


@pytest.mark.parametrize("principal", ["ingestion", "inference", "registry"])
def test_rights_are_those_that_were_tried_one_by_one(principal: str) -> None:
    """docs/clients.md has the least that these run with; on top comes only what a fixed slot reads, and sizes."""
    text = (COMMITTED.parents[2] / "docs/clients.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    column = next(row for row in rows if "registry" in row).index(principal)
    tried = {
        (row[0].split()[0].capitalize(), name)
        for row in rows
        if row[0].startswith(("READ on topics", "WRITE on topics"))
        for name in re.findall(r"`([^`]+)`", row[column])
    }
    topics_only = [right for right in rights(principal, "", ["p"]) if right.kind == "topic"]
    given = {(operation, right.name) for right in topics_only for operation in right.operations}
    slot = {("Read", "freshet.workers")}
    assert {pair for pair in given if pair[0] != "DescribeConfigs"} == tried | slot


def test_no_two_services_share_a_transactional_id() -> None:
    """Else one could fence the other: ids are the service's own, of a slot that comes and goes too."""
    ids = {
        principal: [r for r in rights(principal, "t1.", ["loans", "wx"]) if r.kind == "transactionalId"]
        for principal in PRINCIPALS
    }
    own = TopicNames("t1.", "wx").transactional_id("inference", "inference-3")
    assert [p for p, owned in ids.items() if any(own.startswith(r.name) for r in owned)] == ["inference"]
    assert ids["registry"] == [Right("transactionalId", "t1.freshet.registry.owner", ("Write",))]
    assert ids["producers"] == ids["consumers"] == []


def test_it_writes_both_files(tmp_path: Path) -> None:
    """For pipelines of one's own."""
    assert main([str(tmp_path), "--pipeline", "loans=6"]) == 0
    assert (tmp_path / "users.yaml").read_text() == (COMMITTED / "users.yaml").read_text()
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--pipeline", "loans"])
