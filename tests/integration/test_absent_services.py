"""Services that are not there, on a real Kafka: waiting commands say so and can be taken back, doctor sees it."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Decision, WorkerState
from freshet.contracts.resources import pipelines_dir
from freshet.contracts.topics import TopicNames
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.decider_loop import DeciderLoop
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.reading import everything
from freshet.runtime.reports import InlineReports
from freshet.runtime.telemetry import Metrics

pytestmark = pytest.mark.kafka

Freshet = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def freshet(kafka: str, namespace: str) -> Freshet:
    """Starts a command as a person does, with a signal that reaches it."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        options = ["--bootstrap", kafka, "--namespace", namespace]
        line = [sys.executable, "-m", "freshet.cli", *map(str, arguments), *options]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def told(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """How it ended, and what it printed."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def registry(bus: KafkaBus) -> DeciderLoop:
    """A registry that beats."""
    return DeciderLoop(
        RegistryDecider(),
        bus,
        bus.names,
        service="registry",
        jobs=InlineJobs(lambda _: None),
        clock=SystemClock(),
        metrics=Metrics(),
        reports=InlineReports(bus.producer()),
    )


def test_a_command_that_is_given_up_is_not_carried_out_later(kafka: str, namespace: str, freshet: Freshet) -> None:
    """After five seconds it says that no registry is there; Ctrl-C takes it back for whoever comes."""
    assert told(freshet("apply", "-f", pipelines_dir() / "loans"))[0] == 0
    asked = freshet("model", "pause", "--pipeline", "loans")
    assert asked.stderr is not None
    said = ""
    while "Ctrl-C withdraws" not in said:
        line = asked.stderr.readline()
        assert line, said
        said += line
    assert "No registry is running (has never been heard). Start it with `freshet run registry`." in said
    asked.send_signal(signal.SIGINT)
    code, _, rest = told(asked)
    assert (code, "withdrawn: " in rest) == (130, True), rest
    bus = KafkaBus(kafka, TopicNames(namespace, ""))
    with closing(registry(bus)) as loop:
        deadline = time.monotonic() + 60
        while not (found := decisions(bus)):
            assert time.monotonic() < deadline
            loop.step(0.2)
    (decision,) = found
    assert (decision.verdict, decision.subject in said) == ("expired", True)


def decisions(bus: KafkaBus) -> list[Decision]:
    """What a registry has decided so far."""
    values = [value for batch in everything(bus, "decisions") for value in batch.values if value is not None]
    return [message for message in (decode("decisions", value) for value in values) if isinstance(message, Decision)]


def test_doctor_and_status_see_who_has_gone_and_what_nobody_reads(
    kafka: str, namespace: str, freshet: Freshet, tmp_path: Path
) -> None:
    """A registry whose last beat is old, and events without ingestion: neither calls that well."""
    assert told(freshet("apply", "-f", pipelines_dir() / "loans"))[0] == 0
    code, out, err = told(freshet("model", "status", "--pipeline", "loans", "--json"))
    assert code == 0, err
    assert {line["health"] for line in json.loads(out)["trouble"]} == {"warn"}
    bus = KafkaBus(kafka, TopicNames(namespace, "loans"))
    gone = WorkerState(instance="registry/owner", service="registry", pipeline="", interval_ms=1)
    with closing(bus.producer()) as producer:
        producer.send(Send("workers", [b"registry/owner"], [encode(gone)]))
        producer.send(Send("events", [b"a"] * 7, [b"x"] * 7))
    time.sleep(0.05)
    code, out, err = told(freshet("model", "status", "--pipeline", "loans", "--json"))
    assert code == 4, err
    bad = {line["about"]: line["seen"] for line in json.loads(out)["trouble"] if line["health"] == "bad"}
    assert re.search("was last heard .* and has not said good-bye", bad["registry"])
    assert "none of 7 records on events" in bad[f"group {namespace}freshet.ingestion.loans"]
    code, out, err = told(freshet("doctor", "--json"))
    assert code == 4, err
    seen = {line["about"]: line for line in json.loads(out)}
    assert (seen["registry"]["health"], seen["registry"]["do"]) == ("bad", "freshet run registry")
    unread = [line["seen"] for line in json.loads(out) if line["about"] == f"group {namespace}freshet.ingestion.loans"]
    assert "has read none of 7 records on events" in unread


def test_a_replay_that_was_interrupted_goes_on_and_repeats_nothing(
    kafka: str, namespace: str, freshet: Freshet, tmp_path: Path
) -> None:
    """Odd titles, blanks and dates through new, check and apply; then Ctrl-C, and on with the number that it said."""
    table, folder = tmp_path / "t.csv", tmp_path / "odd"
    rows = [
        f"T {n};{1 + n % 28:02d}.03.2025;{n % 7},5;{('on', 'off')[n % 2]};{('ja', 'nein', '')[n % 3]}"
        for n in range(400)
    ]
    table.write_bytes("\r\n".join(["Fall Nr.;on;Größe (kB);no;Klasse", *rows, "", ""]).encode("cp1252"))
    new = [sys.executable, "-m", "freshet.cli", "pipeline", "new", "odd", "--csv", table, "--label", "Klasse", "--dir"]
    subprocess.run([*map(str, new), str(folder)], check=True, capture_output=True)
    assert told(freshet("pipeline", "check", folder))[0] == 0
    assert told(freshet("apply", "-f", folder))[0] == 0
    replay = ("replay", table, "--pipeline", "odd", "--label", "Klasse")
    bus = KafkaBus(kafka, TopicNames(namespace, "odd"))
    first = freshet(*replay, "--rate", "40")
    deadline = time.monotonic() + 60
    while not values(bus, "events"):
        assert time.monotonic() < deadline
    first.send_signal(signal.SIGINT)
    code, _, err = told(first)
    skip = re.search(r"--skip (\d+)", err)
    assert code == 130, err
    assert skip, err
    assert told(freshet(*replay, "--skip", skip[1]))[0] == 0
    sent = values(bus, "events")
    assert len(sent) == len(set(sent)) == 400
    assert len(values(bus, "feedback")) == sum(1 for n in range(400) if n % 3 < 2)
    text = (folder / "event.avsc").read_text()
    (folder / "event.avsc").write_text(text.replace('"double"', '"boolean"'))
    code, out, _ = told(freshet("pipeline", "check", folder))
    assert code == 4, out


def values(bus: KafkaBus, role: str) -> list[bytes]:
    """Every record of a topic."""
    return [value for batch in everything(bus, role) for value in batch.values if value is not None]
