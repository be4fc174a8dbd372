"""Which Kafka a cluster runs, by the requests that its brokers know."""

import logging
from collections.abc import Mapping
from unittest.mock import MagicMock

import pytest
from structlog.testing import capture_logs

from freshet.runtime import process
from freshet.runtime.bus.kafka import releases
from freshet.runtime.bus.kafka.releases import Verdict, cluster_verdict, judged, release, warn_if_faulty
from freshet.runtime.bus.protocol import FatalError
from freshet.runtime.settings import load_settings

# number of the request: its newest version, as running brokers told it
KNOWN: Mapping[str, Mapping[int, int]] = {
    "4.0.0": {0: 12, 18: 4, 35: 4, 81: 0},
    "4.1.1": {0: 13, 18: 4, 35: 4, 92: 0},
    "4.2.1": {0: 13, 18: 4, 35: 4, 92: 0},
    "4.3.0": {0: 13, 18: 4, 35: 5, 92: 0},
    "4.3.1": {0: 13, 18: 4, 35: 5, 92: 0},
    "4.4.0": {0: 13, 18: 5, 35: 5, 94: 0},
}


@pytest.mark.parametrize("version", KNOWN)
def test_the_faulty_lines_are_told_from_the_others(version: str) -> None:
    """4.3 and 4.4 have the fault; what came before has not."""
    line = version[:3]
    assert release(KNOWN[version]) == (line if line in ("4.3", "4.4") else "before 4.3")


@pytest.mark.parametrize("requests", [{18: 5, 35: 5, 94: 0, 95: 0}, {18: 6, 35: 5, 94: 0}])
def test_what_is_newer_than_known_is_not_guessed_at(requests: Mapping[int, int]) -> None:
    """A release with requests that no release had when this was written may have the fix or not."""
    assert release(requests) == "after 4.4"
    assert judged(["a:1"], {"a:1": requests}) == Verdict({}, frozenset({"a:1"}))


def test_each_broker_is_judged_for_itself() -> None:
    """In the middle of an upgrade some have the fault; who did not answer is untold, not sound."""
    verdict = judged(["a:1", "b:1", "c:1"], {"a:1": KNOWN["4.2.1"], "b:1": KNOWN["4.3.1"]})
    assert verdict == Verdict({"b:1": "4.3"}, frozenset({"c:1"}))


@pytest.mark.parametrize("protocol", ["", "ssl://", "sasl_plaintext://", "sasl_ssl://"])
def test_the_client_tells_it_in_its_log(protocol: str) -> None:
    """The lines as the client writes them, with TLS or a log-in and without; others are passed over."""
    said = releases._Said()
    prefix = f"APIVERSION [rdkafka#producer-1] [thrd:{protocol}127.0.0.1:9092/bootstrap]: {protocol}127.0.0.1:9092/1:"
    for text in (
        "  ApiKey DescribeLogDirs (35) Versions 1..5",
        " Broker API support:",
        "  ApiKey New (94) Versions 0..0",
    ):
        said.emit(logging.makeLogRecord({"msg": f"{prefix} {text}"}))
    assert said.told == {"127.0.0.1:9092": {35: 5, 94: 0}}


def test_a_service_warns_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """One warning that says which, what happens and what to do; where it could not be told, that; else nothing."""
    logged = []
    for verdict in (
        Verdict({"a:1": "4.3"}, frozenset()),
        Verdict({}, frozenset({"a:1"})),
        Verdict({}, frozenset()),
    ):
        monkeypatch.setattr(releases, "cluster_verdict", lambda *_, found=verdict: found)
        with capture_logs() as lines:
            warn_if_faulty("a:1", {})
        logged.append(lines)
    (warning,), (note,), nothing = logged
    assert (warning["log_level"], warning["event"], warning["brokers"]) == ("warning", "faulty_kafka", {"a:1": "4.3"})
    assert "KAFKA-20734" in warning["do"]
    assert (note["log_level"], note["event"]) == ("warning", "kafka_release_untold")
    assert "could not tell" in note["why"]
    assert nothing == []


def test_every_service_asks_once_kafka_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the wait for a broker, and before anything is read."""
    steps: list[object] = []

    def build(*_: object) -> list[object]:
        steps.append("built")
        raise FatalError("enough")

    for name in ("configure_logs", "_stop_on_signals", "_exit_after"):
        monkeypatch.setattr(process, name, MagicMock())
    for name in ("faulthandler.register", "watchdog.guard_process", "gc.freeze", "gc.set_threshold"):
        monkeypatch.setattr(f"freshet.runtime.process.{name}", MagicMock())
    monkeypatch.setattr(process, "_await_broker", lambda *_: steps.append("answered"))
    monkeypatch.setattr(process, "warn_if_faulty", lambda servers, _: steps.append(servers))
    monkeypatch.setattr(process, "_build", build)
    settings = load_settings("a:1", http_port=0)
    assert process.run(MagicMock(), ["p"], settings) == process.EXIT_FATAL
    assert steps == ["answered", "a:1", "built"]


@pytest.mark.kafka
def test_the_brokers_of_a_real_cluster_tell(kafka: str) -> None:
    """Each broker's requests arrive, so that nothing is untold, and the broker that the project brings is sound."""
    assert cluster_verdict(kafka, {}) == Verdict({}, frozenset())


def test_a_cluster_that_is_away_tells_nothing() -> None:
    """Neither faulty nor sound: untold."""
    assert cluster_verdict("127.0.0.1:1", {}, within_s=0.2) == Verdict({}, frozenset({"127.0.0.1:1"}))
