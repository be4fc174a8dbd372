"""Waiting for inputs that are under way says what they wait for."""

from types import SimpleNamespace
from typing import cast

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.ledger.ledger import Ledger
from freshet.operate.connection import Connection
from freshet.operate.verify import judging
from freshet.operate.verify.findings import Judgement

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
