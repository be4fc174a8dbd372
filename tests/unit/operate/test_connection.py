"""A command's questions to a broker that has just come back."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from freshet.contracts.topic_table import TopicNames
from freshet.operate.connection import connect
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.admin_errors import admin_error
from freshet.runtime.bus.kafka.asked_again import asked_again
from freshet.runtime.bus.kafka.connection_errors import ConnectionErrors
from freshet.runtime.bus.protocol import FatalError, RetriableError, Span
from freshet.runtime.settings import load_settings


def refusing(codes: Iterator[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a broker that has one partition refuse to tell its ends with these errors first."""

    def offsets(*_: Any) -> dict[int, int]:
        for code in codes:
            raise KafkaException(KafkaError(code))
        return {0: 7}

    monkeypatch.setattr(KafkaAdmin, "names", lambda _: [])
    monkeypatch.setattr(KafkaBus, "_partitions", lambda *_: [0])
    monkeypatch.setattr(KafkaBus, "_offsets", offsets)


def test_a_broker_that_does_not_know_its_leaders_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`freshet up` ended with UNKNOWN_LEADER_EPOCH seconds after `freshet local down`."""
    refusing(iter([KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.LEADER_NOT_AVAILABLE]), monkeypatch)
    connection = connect(load_settings("127.0.0.1:1"))
    assert connection.bus("p").spans("schemas") == {0: Span(7, 7, 7)}
    assert connection.bus().of_pipeline("p").spans("schemas") == {0: Span(7, 7, 7)}


def test_a_service_is_told_at_once_and_no_sentence_promises_what_nobody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop tries again; whoever has none must not be told that somebody will."""
    refusing(iter([KafkaError.UNKNOWN_LEADER_EPOCH]), monkeypatch)
    with pytest.raises(RetriableError, match=r"the ends of freshet\.schemas.*UNKNOWN_LEADER_EPOCH") as told:
        KafkaBus("127.0.0.1:1", TopicNames()).spans("schemas")
    assert "tried again" not in str(told.value)


def test_what_does_not_pass_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is broken is not waited for."""
    codes = iter([KafkaError.UNSUPPORTED_VERSION, KafkaError.UNSUPPORTED_VERSION])
    refusing(codes, monkeypatch)
    with pytest.raises(FatalError):
        connect(load_settings("127.0.0.1:1")).bus().spans("schemas")
    assert len([*codes]) == 1


def test_patience_ends() -> None:
    """After these seconds the error is told; a question that alone took as long is not asked again."""
    now_s, asked = [0.0], list[float]()

    def ask() -> None:
        asked.append(now_s[0])
        now_s[0] += 5.0
        raise RetriableError("no leader.")

    with pytest.raises(RetriableError, match="no leader"):
        asked_again(ask, 12.0, lambda pause_s: None, lambda: now_s[0])
    assert asked == [0.0, 5.0, 10.0]
    with pytest.raises(RetriableError, match="no leader"):
        asked_again(ask, 5.0, lambda pause_s: None, lambda: now_s[0])
    assert len(asked) == 4


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.COORDINATOR_LOAD_IN_PROGRESS])
def test_an_administrator_takes_the_same_for_passing(code: int) -> None:
    """Else `freshet lag` would blame the broker for what is over in a second."""
    told = admin_error(KafkaError(code), "reading", "127.0.0.1:1", 5.0, ConnectionErrors())
    assert isinstance(told, RetriableError)
