"""What the doctor shows, and what it must not show."""

from unittest.mock import Mock

import pytest

from freshet.operate import checkup
from freshet.operate.checkup import hanging_line, masked, settings
from freshet.operate.connection import Connection
from freshet.runtime.bus.kafka.releases import Verdict
from freshet.runtime.bus.kafka.transactions import HangingTransaction
from support import registry


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRESHET_KAFKA", '{"sasl.password": "hunter2", "security.protocol": "SASL_SSL"}'),
        ("FRESHET_KAFKA", '{"ssl.key.pem": "hunter2"}'),
        ("FRESHET_KAFKA", '{"sasl.password": "hunter2"'),
        ("FRESHET_KAFKA", '{"sasl.password.file": "hunter2"}'),
        ("FRESHET_REGISTRY_TOKEN", "hunter2"),
    ],
)
def test_secrets_are_never_shown(name: str, value: str) -> None:
    """Passwords, keys and tokens become stars, even inside JSON, and even where the JSON is broken."""
    assert "hunter2" not in masked(name, value)


def test_settings_are_shown_and_others_are_not() -> None:
    """Only Freshet's variables and Kafka's address; their values in the clear where they are no secret."""
    kafka = '{"security.protocol": "SASL_SSL", "sasl.password.file": "/etc/kafka/password"}'
    environ = {"FRESHET_KAFKA": kafka, "KAFKA_BOOTSTRAP_SERVERS": "k:9092", "HOME": "/x"}
    assert [line.seen for line in settings(environ)] == [
        f"FRESHET_KAFKA={kafka}",
        "KAFKA_BOOTSTRAP_SERVERS=k:9092",
    ]


@pytest.mark.parametrize(
    ("running", "health", "says"),
    [(True, "warn", "ends it at its timeout"), (False, "bad", "never ends"), (None, "bad", "could not be told")],
)
def test_a_hanging_transaction_is_named(running: bool | None, health: str, says: str) -> None:
    """Where, since when, how far readers get, and whose it is; worse the less can be hoped for."""
    transactional_id, producer_id = (None, None) if running is None else ("freshet.inference.loans.0", 7)
    one = HangingTransaction("loans.features", 2, 5, 9, transactional_id, producer_id, 1000, running)
    line = hanging_line(one, 61_000)
    assert (line.about, line.health) == ("transaction in loans.features/2", health)
    assert "open for 60 s: readers get no further than offset 5 of 9" in line.seen
    assert says in line.seen
    assert running is None or "transactional id freshet.inference.loans.0, producer id 7" in line.seen


@pytest.mark.parametrize(
    ("verdict", "healths"),
    [
        (Verdict({}, frozenset()), ["ok"]),
        (Verdict({}, frozenset({"a:1"})), ["warn"]),
        (Verdict({"a:1": "4.3"}, frozenset({"b:1"})), ["bad", "warn"]),
    ],
)
def test_a_faulty_kafka_is_named(verdict: Verdict, healths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Which broker, which releases, what happens and what to do; what could not be told is not called well."""
    monkeypatch.setattr(checkup, "cluster_verdict", lambda *_: verdict)
    lines = list(checkup._release(Connection("a:1", "", {}, None), {}))  # type: ignore[arg-type]
    assert [line.health for line in lines] == healths
    for line in lines:
        assert line.health == "ok" or ("4.3.0, 4.3.1 and 4.4.0" in line.seen and "KAFKA-20734" in line.do)


def test_a_pipeline_of_another_release_hides_no_other() -> None:
    """What cannot be read here has a line of its own, and the rest of the checkup goes on."""
    sound = registry.specification("manual").model_copy(update={"pipeline": "loans"})
    other = sound.model_copy(update={"pipeline": "fraud", "spec": "pipeline: fraud\nnovelty: 1\n"})
    lines = {line.about: line for line in checkup._pipelines(Mock(spec=Connection), {"loans": sound, "fraud": other})}
    assert lines["pipeline loans"].health == "ok"
    assert lines["pipeline fraud"].health == "bad"
    assert "cannot be read here" in lines["pipeline fraud"].seen
    assert [name for name, _ in checkup._counts({"fraud": other, "loans": sound})] == ["loans"]
