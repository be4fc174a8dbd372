"""What the webhook bridge sends, how it is signed, and when it is tried again."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from freshet.avro.control import CONTROL_ROLES, encode
from freshet.avro.own_schemas import schema_lock
from freshet.contracts.errors import FreshetError
from freshet.contracts.messages import Decision
from freshet.contracts.shipped import schemas_dir
from freshet.webhook.core.delivery import KINDS, Delivery, RecordPlace, delivery_of, is_wanted, letter
from freshet.webhook.core.hook_signature import ID_HEADER, SIGNATURE_HEADER, request_headers
from freshet.webhook.core.hook_target import HookTarget, target_of
from freshet.webhook.core.retry_rules import GiveUp, Reply, Taken, TryAgain, judge

PAGE: Final = Path(__file__).parents[3] / "docs/webhook.md"
SECRET: Final = "sixteen characters or more"
PLACE: Final = RecordPlace("decisions", "dev.freshet.decisions", 0, 41, 1_000)
DECISION: Final = Decision(
    pipeline="loans", about="command", subject="c1", verdict="done", reason="Größe ≥ 5", inputs={"a": "b"}
)


def receiver() -> Any:
    """The check of docs/webhook.md, as a reader would copy it."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)
    return found["is_genuine"]


def test_a_body_is_the_record_with_its_place_and_the_same_each_time() -> None:
    """The id names topic, partition and offset."""
    first, again = (delivery_of(PLACE, encode(DECISION)) for _ in range(2))
    assert first == again
    assert json.loads(first.body) == {
        "id": "dev.freshet.decisions/0/41",
        "kind": "decisions",
        "pipeline": "loans",
        "written_ms": 1_000,
        "record": DECISION.model_dump(),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_body_and_a_pipeline(kind: str) -> None:
    """Shown on the golden records of that message."""
    examples = sorted((schemas_dir() / "examples" / CONTROL_ROLES[kind].__name__).glob("*.hex"))
    assert examples
    for example in examples:
        found = delivery_of(RecordPlace(kind, "t", 0, 0, 0), bytes.fromhex(example.read_text()))
        told = json.loads(found.body)
        assert (told["kind"], told["pipeline"]) == (kind, found.pipeline)
        assert told["record"]["pipeline"] == found.pipeline != ""


def test_what_cannot_be_read_is_kept_with_its_bytes_and_a_newer_record_is_not_passed_over() -> None:
    """A stranger's bytes go to the file; what a later release wrote stops the bridge."""
    found = delivery_of(PLACE, b"\xff?")
    assert found.unreadable
    line = json.loads(letter(found, found.unreadable, 0, 5))
    assert (line["id"], line["value_base64"], line["body"]) == (PLACE.id, "/z8=", "")
    assert delivery_of(PLACE, None).unreadable
    assert not found.newer
    next_id = 1 + max(entry.id for entry in schema_lock())
    assert delivery_of(PLACE, b"\x00" + next_id.to_bytes(4, "big") + b"x").newer


def test_a_letter_is_one_line_with_exactly_what_was_sent() -> None:
    """So that it can be sent by hand."""
    sent = delivery_of(PLACE, encode(DECISION))
    line = letter(sent, "HTTP 400: two\nlines", 3, 5)
    assert line.count(b"\n") == 1
    told = json.loads(line)
    assert told["body"].encode() == sent.body
    assert (told["reason"], told["tries"], told["given_up_ms"]) == ("HTTP 400: two\nlines", 3, 5)


def test_only_records_of_the_named_pipelines_are_wanted() -> None:
    """None named: all. What nobody can read could be about any of them."""
    sent = delivery_of(PLACE, encode(DECISION))
    unreadable = Delivery(PLACE, "", b"", "broken")
    assert is_wanted(sent, frozenset())
    assert is_wanted(sent, frozenset({"loans", "weather"}))
    assert not is_wanted(sent, frozenset({"weather"}))
    assert is_wanted(unreadable, frozenset({"weather"}))


def test_the_receiver_of_the_page_accepts_our_signature_and_no_other() -> None:
    """Another body, secret or time is refused, and so is a request of ten minutes ago."""
    check, sent = receiver(), delivery_of(PLACE, encode(DECISION))
    headers = request_headers(sent, SECRET, 1_000_000)
    signed = headers[SIGNATURE_HEADER]
    assert headers[ID_HEADER] == PLACE.id
    assert check(SECRET, signed, sent.body, 1_000_010.0)
    assert not check(SECRET, signed, sent.body + b" ", 1_000_010.0)
    assert not check(SECRET + "x", signed, sent.body, 1_000_010.0)
    assert not check(SECRET, signed.replace("t=1000000", "t=1000001"), sent.body, 1_000_010.0)
    assert not check(SECRET, signed, sent.body, 1_000_600.0)
    for broken in ("", "t=,v1=", "v1=é,t=1000000", "t=1000000"):
        assert not check(SECRET, broken, sent.body, 1_000_010.0)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_two_hundreds_are_taken(status: int) -> None:
    """Whatever the text."""
    assert judge(Reply(status, "x"), 1, 0.0, 60.0, 0.0) == Taken()


@pytest.mark.parametrize("status", [0, 408, 429, 500, 502, 503, 504, 599])
def test_trouble_that_may_pass_is_tried_again_until_the_time_is_over(status: int) -> None:
    """Pauses double up to a minute; the last one ends with the time."""
    pauses = [judge(Reply(status), tries, 0.0, 1e6, 0.0) for tries in range(1, 9)]
    assert [step.pause_s for step in pauses if isinstance(step, TryAgain)] == [1, 2, 4, 8, 16, 32, 60, 60]
    late = judge(Reply(status), 5_000, 3_590.0, 3_600.0, 0.0)
    assert isinstance(late, TryAgain)
    assert late.pause_s == 10.0
    assert isinstance(judge(Reply(status), 5_001, 3_600.0, 3_600.0, 0.0), GiveUp)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 405, 410, 413, 422])
def test_other_answers_are_final(status: int) -> None:
    """Also redirects: the body is for nobody else."""
    assert judge(Reply(status, "no"), 1, 0.0, 60.0, 0.0) == GiveUp(f"HTTP {status}: no. Such an answer is final.")


@pytest.mark.parametrize(
    ("retry_after", "pause_s"),
    [
        ("30", 30.0),
        ("0", 1.0),
        ("99999", 3_600.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 1.0),
        ("soon", 1.0),
        ("-5", 1.0),
        ("", 1.0),
    ],
)
def test_the_receiver_may_ask_for_a_longer_pause(retry_after: str, pause_s: float) -> None:
    """Seconds or a date, never beyond the time that a record is tried."""
    step = judge(Reply(429, "", retry_after), 1, 0.0, 3_600.0, 784_111_740.0)
    assert isinstance(step, TryAgain)
    assert step.pause_s == pause_s


def test_an_address_is_taken_apart() -> None:
    """The query stays, a fragment is for browsers."""
    assert target_of("https://example.org/a?b=c#d", False) == HookTarget(True, "example.org", 443, "/a?b=c")
    assert target_of("http://127.0.0.1:81", False) == HookTarget(False, "127.0.0.1", 81, "/")
    assert target_of("http://[::1]:81/", False) == HookTarget(False, "::1", 81, "/")
    assert target_of("http://example.org", True).tls is False


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org",
        "http://example.org/secret",
        "https://u:secret@example.org",
        "https://example.org:secret/",
        "https://example.org/a secret",
        "https://example.org/é-secret",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_not_repeated(url: str) -> None:
    """It may hold a secret."""
    with pytest.raises(FreshetError, match="FRESHET_WEBHOOK_URL") as refused:
        target_of(url, False)
    assert "secret" not in str(refused.value)
