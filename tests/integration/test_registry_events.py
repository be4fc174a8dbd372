"""Events with a user's registry's ids on a real Kafka, with ingestion as a process."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from freshet.cli.main import app
from support.foreign_events import loans_with
from support.ingestion import SCHEMA, framed, loan
from support.schema_registry import StandInRegistry
from support.services import until

pytestmark = pytest.mark.kafka


def at(kafka: str, namespace: str) -> list[str]:
    """Where the command finds it."""
    return ["--bootstrap", kafka, "--namespace", namespace]


def tailed(kafka: str, namespace: str, role: str) -> list[dict[str, Any]]:
    """What `freshet topic tail` shows of all the topic's records."""
    command = ["topic", "tail", role, "--pipeline", "loans", "--from", "beginning", "--json"]
    done = CliRunner().invoke(app, [*command, *at(kafka, namespace)])
    assert done.exit_code == 0, done.output
    return list(map(json.loads, done.stdout.splitlines()))


def test_events_wait_while_their_registry_is_down_and_others_flow(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Nothing is refused; once it answers, the rest is served, and an id that it denies is a dead letter."""
    wider = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "note", "type": "string"}]}
    now_ms = int(time.time() * 1000)  # ingestion holds event times against the broker's clock
    foreign = [framed({**loan(event_id=f"f{row}", at=now_ms), "note": "n"}, wider, 7) for row in range(3)]
    with (
        StandInRegistry().register(7, wider).running() as registry,
        loans_with(registry.url, kafka, namespace, tmp_path) as loans,
    ):
        registry.trouble = (503, b"busy")
        loans.send(foreign, partition=0)
        loans.send([framed(loan(event_id="own", at=now_ms))], partition=1)
        until(lambda: loans.count("features") == 1, "the event with our id")
        until(lambda: len(registry.asked) >= 2, "a second request")
        assert (loans.count("features"), loans.count("dead-letters")) == (1, 0)
        shown = [tailed(kafka, namespace, "events") for _ in range(2)]
        assert [len(lines) for lines in shown] == [4, 4]
        assert sum("answers HTTP 503" in line["value"].get("detail", "") for line in shown[0]) == 3
        registry.trouble = None
        until(lambda: loans.count("features") == 4, "the events of the registry")
        loans.send([framed(loan(), identifier=8)], partition=0)
        until(lambda: loans.count("dead-letters") == 1, "the dead letter")
        ids = [line["value"].get("event_id") for line in tailed(kafka, namespace, "events")]
        assert sorted(filter(None, ids)) == ["f0", "f1", "f2", "own"]
        (letter,) = tailed(kafka, namespace, "dead-letters")
        assert letter["value"]["detail"] == "the registry does not know this id."
        judged = CliRunner().invoke(app, ["verify", "--pipeline", "loans", "--json", *at(kafka, namespace)])
        compared = "features carry their event's id, entity and time"
        (finding,) = [one for one in json.loads(judged.stdout)["findings"] if one["check"] == compared]
        assert (finding["looked_at"], finding["breaches"]) == (4, 0)
        assert {asked.path for asked in registry.asked} == {"/schemas/ids/7", "/schemas/ids/8"}
