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

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Decision, WorkerState
from freshet.contracts.shipped import pipelines_dir
from freshet.contracts.topic_table import TopicNames
from freshet.models.bundle import Bundle
from freshet.models.packing import pack
from freshet.pipeline import load_checked
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.protocol import Send
from freshet.runtime.clock import SystemClock
from freshet.runtime.jobs import InlineJobs
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.reading import everything
from freshet.runtime.reports import InlineReports
from freshet.runtime.telemetry import Metrics
from support.registry import Judgement

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


def registry(bus: KafkaBus) -> OwnerLoop:
    """A registry that beats, and finds every candidate good."""
    return OwnerLoop(
        RegistryDecider(),
        bus,
        bus.names,
        service="registry",
        jobs=InlineJobs(lambda *_: Judgement()),
        clock=SystemClock(),
        metrics=Metrics(),
        reports=InlineReports(bus.producer()),
    )


def test_a_command_that_is_given_up_is_not_carried_out_later(kafka: str, namespace: str, freshet: Freshet) -> None:
    """After five seconds it says that no registry is there; Ctrl-C takes it back for whoever comes."""
    assert told(freshet("apply", "-f", pipelines_dir() / "loans"))[0] == 0
    said = given_up(freshet("model", "pause", "--pipeline", "loans"))
    assert "No registry is running (has never been heard). Start it with `freshet run registry`." in said
    (decision,) = decided(KafkaBus(kafka, TopicNames(namespace, "")))
    assert (decision.verdict, decision.subject in said) == ("expired", True)


def test_a_model_that_is_given_up_is_not_judged_later(
    kafka: str, namespace: str, freshet: Freshet, tmp_path: Path
) -> None:
    """Ctrl-C in `model publish` leaves a tombstone: a registry that comes later admits nothing; the next try counts."""
    assert told(freshet("apply", "-f", pipelines_dir() / "loans"))[0] == 0
    bundle_of_loans().save(tmp_path / "bundle")
    said = given_up(freshet("model", "publish", tmp_path / "bundle"))
    assert "No registry is running" in said
    bus = KafkaBus(kafka, TopicNames(namespace, ""))
    written = [value for batch in everything(bus, "candidates") for value in batch.values]
    assert [value is None for value in written] == [False, True]
    assert told(freshet("model", "pause", "--pipeline", "loans", "--no-wait"))[0] == 0
    assert [found.about for found in decided(bus)] == ["command"]
    assert not values(bus, "models")
    assert told(freshet("model", "publish", tmp_path / "bundle", "--no-wait"))[0] == 0
    assert "candidate" in [found.about for found in decided(bus, more_than=1)]


def given_up(process: subprocess.Popen[str]) -> str:
    """What a waiting command says until it says what Ctrl-C does, and after that."""
    assert process.stderr is not None
    said = ""
    while "Ctrl-C withdraws" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    code, _, rest = told(process)
    assert (code, "withdrawn: " in rest) == (130, True), rest
    return said + rest


def bundle_of_loans() -> Bundle:
    """A good model of the example pipeline."""
    spec, _, _ = load_checked(pipelines_dir() / "loans")
    rows = np.random.default_rng(1).normal(size=(200, len(spec.feature_names))).astype(np.float32)
    model = LogisticRegression().fit(rows, np.where(rows[:, 0] > 0, *spec.target.classes))
    return pack(model, rows, spec, max_gap=0.001).bundle


def decided(bus: KafkaBus, more_than: int = 0) -> list[Decision]:
    """All decisions, once a registry that starts now has made it more than so many."""
    with closing(registry(bus)) as loop:
        deadline = time.monotonic() + 60
        while len(found := decisions(bus)) <= more_than:
            assert time.monotonic() < deadline
            loop.step(0.2)
        return found


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
    """Odd titles, blanks and dates through new, check and apply; then Ctrl-C, and on with the number that it said.

    A second replay is killed, and the next one finds out by itself what is missing, of events and of labels.
    """
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

    third = tmp_path / "third.csv"
    third.write_bytes(table.read_bytes().replace(b"T ", b"U "))
    again = ("replay", third, "--pipeline", "odd", "--label", "Klasse", "--labels-after", "50")
    killed = freshet(*again, "--rate", "100")
    deadline = time.monotonic() + 60
    while len(values(bus, "events")) < 480:
        assert time.monotonic() < deadline
    killed.kill()
    told(killed)
    for _ in range(2):
        code, _, err = told(freshet(*again, "--resume"))
        assert code == 0, err
    assert "400 events were on the topic already" in err
    sent = values(bus, "events")
    assert len(sent) == len(set(sent)) == 800
    assert len(values(bus, "feedback")) == 2 * sum(1 for n in range(400) if n % 3 < 2)

    text = (folder / "event.avsc").read_text()
    (folder / "event.avsc").write_text(text.replace('"double"', '"boolean"'))
    code, out, _ = told(freshet("pipeline", "check", folder))
    assert code == 4, out


def values(bus: KafkaBus, role: str) -> list[bytes]:
    """Every record of a topic."""
    return [value for batch in everything(bus, role) for value in batch.values if value is not None]
