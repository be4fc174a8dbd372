"""What the doctor shows, and what it must not show."""

import pytest

from freshet.cli.checkup import masked, settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRESHET_KAFKA", '{"sasl.password": "hunter2", "security.protocol": "SASL_SSL"}'),
        ("FRESHET_KAFKA", '{"ssl.key.pem": "hunter2"}'),
        ("FRESHET_KAFKA", '{"sasl.password": "hunter2"'),
        ("FRESHET_REGISTRY_TOKEN", "hunter2"),
    ],
)
def test_secrets_are_never_shown(name: str, value: str) -> None:
    """Passwords, keys and tokens become stars, even inside JSON, and even where the JSON is broken."""
    assert "hunter2" not in masked(name, value)


def test_settings_are_shown_and_others_are_not() -> None:
    """Only Freshet's variables and Kafka's address; their values in the clear where they are no secret."""
    environ = {"FRESHET_KAFKA": '{"security.protocol": "SASL_SSL"}', "KAFKA_BOOTSTRAP_SERVERS": "k:9092", "HOME": "/x"}
    assert [line.seen for line in settings(environ)] == [
        'FRESHET_KAFKA={"security.protocol": "SASL_SSL"}',
        "KAFKA_BOOTSTRAP_SERVERS=k:9092",
    ]
