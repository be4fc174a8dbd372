"""Settings of a process: from the environment, overridden by what is given, refused in sentences."""

import os

import pytest

from freshet.runtime.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set but Kafka's address."""
    for name in [name for name in os.environ if name.startswith("FRESHET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")


def test_an_address_is_all_that_is_needed() -> None:
    """The defaults suit one machine: loopback, a free port, a fixed slot 0."""
    settings = load_settings()
    assert settings.bootstrap_servers == "kafka:9092"
    assert (settings.http_host, settings.http_port, settings.slot, settings.slots) == ("127.0.0.1", 0, "0", "fixed")


def test_variables_set_what_options_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A given value wins over the environment; a flag that was left out does not."""
    monkeypatch.setenv("FRESHET_SLOT", "3")
    monkeypatch.setenv("FRESHET_HTTP_PORT", "8080")
    monkeypatch.setenv("FRESHET_KAFKA", '{"security.protocol": "SSL"}')
    settings = load_settings("other:9092", slot="4", http_port=None)
    assert (settings.bootstrap_servers, settings.slot, settings.http_port) == ("other:9092", "4", 8080)
    assert settings.kafka == {"security.protocol": "SSL"}


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets such variables for a Service that is called freshet."""
    monkeypatch.setenv("FRESHET_SERVICE_PORT", "tcp://10.0.0.1:80")
    assert load_settings().http_port == 0


def test_a_missing_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing without a default."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
    with pytest.raises(SettingsError, match=r"KAFKA_BOOTSTRAP_SERVERS: .*required"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("FRESHET_SLOTS", "static", "FRESHET_SLOTS: Input should be 'fixed' or 'elastic'."),
        ("FRESHET_HTTP_PORT", "99999", "FRESHET_HTTP_PORT: Input should be less than or equal to 65535."),
        ("FRESHET_SHUTDOWN_S", "0", "FRESHET_SHUTDOWN_S: Input should be greater than 0."),
        ("FRESHET_NAMESPACE", "a/b", "FRESHET_NAMESPACE: namespace 'a/b' may hold letters, digits"),
        ("FRESHET_NAMESPACE", "dev", "must end in '.', '_' or '-': write 'dev.'."),
        ("FRESHET_KAFKA", "sasl.username=x", "FRESHET_KAFKA: it must be a JSON object"),
        ("KAFKA_BOOTSTRAP_SERVERS", "", "KAFKA_BOOTSTRAP_SERVERS: "),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_the_name_of_its_variable(
    variable: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever set it finds it, and learns what it may hold."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert sentence in str(refused.value)


def test_secrets_are_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a refusal nor a printed Settings shows a password: both end up in logs."""
    monkeypatch.setenv("FRESHET_KAFKA", '{"sasl.password": ["hunter2"]}')
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "sasl.password" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("FRESHET_KAFKA", '{"sasl.password": "hunter2"}')
    assert "hunter2" not in repr(load_settings())


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("isolation.level", "read_uncommitted", "every answer exactly once rests on it"),
        ("enable.auto.commit", "true", "every answer exactly once rests on it"),
        ("group.protocol", "consumer", "every answer exactly once rests on it"),
        ("enable.idempotence", "false", "every answer exactly once rests on it"),
        ("acks", "1", "every answer exactly once rests on it"),
        ("auto.offset.reset", "latest", "every answer exactly once rests on it"),
        ("group.id", "mine", "the namespace and the pipeline give it"),
        ("transactional.id", "mine", "the slot gives it: set FRESHET_SLOT"),
        ("bootstrap.servers", "b:1", "set KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_no_setting_can_switch_a_promise_off(key: str, value: str, why: str) -> None:
    """What the promises rest on is refused by the name of the key, and the sentence says why."""
    with pytest.raises(SettingsError) as refused:
        load_settings(kafka={key: value, "sasl.password": "hunter2"})
    assert f"FRESHET_KAFKA: {key} cannot be set here, since {why}" in str(refused.value)
    assert "FRESHET_SLOT:" not in str(refused.value), "only what is wrong is named"
    assert "hunter2" not in str(refused.value)
