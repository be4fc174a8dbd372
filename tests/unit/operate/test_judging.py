"""Waiting for inputs that are under way says what they wait for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.ledger.ledger import Ledger
from freshet.operate.connection import Connection
from freshet.operate.verify import judging
from freshet.operate.verify.findings import Judgement
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send

MODEL = "No model answers yet: `freshet model publish` one, or promote one."


def judge(monkeypatch: pytest.MonkeyPatch, *pending: int, wait_s: float) -> tuple[Judgement, list[str]]:
    """The last judgement where so many inputs are under way at one look after the other, and what was said."""
    looks = iter(pending)
    monkeypatch.setattr(judging, "judged", lambda *_, **__: Judgement((), 0, 0, next(looks), {"events": 3}, 3))
    monkeypatch.setattr(judging, "ledger_of", lambda *_: Ledger([]))
    monkeypatch.setattr(judging, "_PAUSE_S", 0.0)
    told: list[str] = []
    connection = SimpleNamespace(
        bus=lambda *_: None, names=lambda name: TopicNames("", name), admin=None, say=told.append, known_login=""
    )
    return judging.judge_pipeline(cast(Connection, connection), "shop", wait_s=wait_s), told


def test_inputs_without_a_model_are_told_what_they_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits and at its end; nothing where none is under way."""
    assert judge(monkeypatch, 3, wait_s=0.0)[0].warnings == (MODEL,)
    ended, told = judge(monkeypatch, 3, 0, wait_s=600.0)
    assert told == [f"3 inputs are under way … {MODEL}"]
    assert ended.warnings == ()


def test_each_step_says_what_is_read_and_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judgement of some ten thousand events takes half a minute: in silence that looks like one that hangs."""
    cluster, names, steps = MemoryCluster(), TopicNames("", "shop"), list[str]()
    cluster.ensure(names, 1)
    bus = MemoryBus(cluster, names)
    bus.producer().send(Send("events", [b"k"] * 1200, [b"v"] * 1200))
    part = SimpleNamespace(findings=(), unjudged=(), warnings=(), hidden=(), unread=0, pending=0)
    monkeypatch.setattr(judging, "collect", lambda *_, **__: SimpleNamespace(outputs={}, history=None))
    monkeypatch.setattr(judging, "judge", lambda *_: Judgement((), 0, 0, 0, {"events": 3}, 3))
    monkeypatch.setattr(judging, "unasked", lambda *_: ())
    for name in ("judge_drift", "judge_retraining"):
        monkeypatch.setattr(judging, name, lambda *_, **__: part)

    @contextmanager
    def during(what: Callable[[], str]) -> Iterator[None]:
        steps.append(what())
        yield

    judging.judged(bus, cast(KafkaAdmin, None), names, during=during)
    assert [step.partition(":")[0] for step in steps] == [
        "the judgement, step 1 of 3, inputs and answers",
        "the judgement, step 2 of 3, labels, profiles, quality and alarms",
        "the judgement, step 3 of 3, trainings",
    ]
    assert "1,200 records are read" in steps[0]
