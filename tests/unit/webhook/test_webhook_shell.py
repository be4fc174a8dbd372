"""The webhook bridge's settings, its file, and one request."""

import socket
import threading
import time
from pathlib import Path
from typing import Final

import pytest

from freshet.runtime.settings import SettingsError
from freshet.webhook import posting
from freshet.webhook.core.hook_target import HookTarget, target_of
from freshet.webhook.core.retry_rules import Reply
from freshet.webhook.letter_file import LetterFile
from freshet.webhook.posting import Posting
from freshet.webhook.webhook_settings import webhook_settings
from support.receiver import Receiver

GOOD: Final = {
    "URL": "https://example.org/hooks/hidden-in-the-path",
    "SECRET": "hidden-and-long-enough",
    "LETTERS": "letters.jsonl",
}


def set_all(setting: pytest.MonkeyPatch, **changed: str) -> None:
    """Good settings, but for these."""
    for name, value in {**GOOD, **changed}.items():
        setting.setenv(f"FRESHET_WEBHOOK_{name}", value)


def test_what_is_not_set_sends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """All kinds, of all pipelines, for an hour; a secret is not shown by whoever prints the settings."""
    set_all(monkeypatch)
    found = webhook_settings()
    assert (found.roles, found.wanted, found.patience_s) == (("decisions", "alarms", "trainings"), frozenset(), 3600.0)
    assert "hidden" not in repr(found)
    set_all(monkeypatch, KINDS="alarms, decisions", PIPELINES="loans, wx")
    assert webhook_settings().roles == ("decisions", "alarms")
    assert webhook_settings().wanted == {"loans", "wx"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "http://example.org/hidden"),
        ("SECRET", "hidden-fifteen!"),
        ("KINDS", "alarms,hidden"),
        ("KINDS", ","),
        ("PATIENCE_S", "hidden"),
        ("PATIENCE_S", "0"),
        ("NAME", "hidden.or/so"),
    ],
)
def test_a_wrong_setting_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The sentence goes to the log."""
    set_all(monkeypatch, **{name: value})
    with pytest.raises(SettingsError, match=f"FRESHET_WEBHOOK_{name}") as refused:
        webhook_settings()
    assert "hidden" not in str(refused.value)


def test_what_must_be_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it at once."""
    for name in GOOD:
        monkeypatch.delenv(f"FRESHET_WEBHOOK_{name}", raising=False)
    with pytest.raises(SettingsError) as refused:
        webhook_settings()
    assert [f"FRESHET_WEBHOOK_{name}" in str(refused.value) for name in GOOD] == [True] * 3


def test_letters_are_appended_and_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    """A process was killed while it wrote."""
    path = tmp_path / "letters.jsonl"
    LetterFile(path).close()
    assert path.stat().st_mode & 0o077 == 0, "what is sent is nobody else's business"
    path.write_bytes(b'{"id": 1}\n{"id"')
    for line in (b'{"id": 2}\n', b'{"id": 3}\n'):
        letters = LetterFile(path)
        letters.add(line)
        letters.close()
    assert path.read_bytes() == b'{"id": 1}\n{"id"\n{"id": 2}\n{"id": 3}\n'


def test_a_file_that_cannot_be_made_is_refused_at_the_start(tmp_path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(SettingsError, match="No such file or directory"):
        LetterFile(tmp_path / "nowhere" / "letters.jsonl")


def replied(target: HookTarget) -> Reply:
    """What became of a request."""
    done = threading.Event()
    sent = Posting(target, {"X": "y"}, b"{}", done.set)
    assert done.wait(30)
    found = sent.answer()
    assert found is not None
    return found


def test_a_request_brings_status_and_retry_after_and_follows_no_redirect() -> None:
    """The path and the query arrive as they were given."""
    with Receiver(lambda _: (302, {"Location": "/elsewhere", "Retry-After": "7"})) as receiver:
        assert replied(target_of(receiver.url, False)) == Reply(302, "", "7")
        [got] = receiver.got
    assert (got.path, got.body, got.headers["X"]) == ("/hooks/freshet?from=test", b"{}", "y")
    assert replied(target_of(receiver.url, False)).status == 0


def test_what_a_receiver_writes_is_told_nowhere() -> None:
    """Many servers repeat the path in it, and the path is often a secret."""
    text = b"Cannot POST /services/T0/B0/SECRET"
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = HookTarget(False, "127.0.0.1", server.getsockname()[1], "/services/T0/B0/SECRET")
        done = threading.Event()
        sent = Posting(target, {}, b"{}", done.set)
        near, _ = server.accept()
        with near:
            near.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            assert done.wait(30)
        sent.join(10)
    assert sent.answer() == Reply(404)


def test_a_receiver_that_sends_byte_after_byte_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never silent for long, and never done."""
    monkeypatch.setattr(posting, "TRY_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sent = Posting(HookTarget(False, "127.0.0.1", server.getsockname()[1], "/"), {}, b"{}", lambda: None)
        near, _ = server.accept()
        with near:
            near.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while (reply := sent.answer()) is None:
                near.sendall(b"x")
                time.sleep(0.02)
            assert (reply.status, "took more than" in reply.detail) == (0, True)
            sent.join(10)
            assert not sent.is_alive()
