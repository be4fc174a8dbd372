"""Who may act: whoever entered the token, in forms of their own session."""

import asyncio
import json
import threading
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.testclient import TestClient

from freshet.console.access import COOKIE, Access
from freshet.console.acting_pages import _local
from freshet.console.change_stream import changes
from freshet.console.console_settings import ConsoleSettings
from freshet.console.live_pages import LivePages
from freshet.console.page_parts import PartsCache, Viewer
from freshet.console.site_parts import SiteParts, fields
from freshet.console.snapshot import Snapshot
from freshet.console.watching import Watching
from freshet.console.web import application
from freshet.operate.connection import Connection
from freshet.runtime import edge_body
from freshet.runtime.settings import SettingsError
from support.console import flowing_world
from unit.console.test_rendering import snapshot

TOKEN = "let-me-act-please"


def request(session: str = "", body: bytes = b"", headers: Mapping[str, str] | None = None) -> Request:
    """A request of a browser with this session's cookie."""
    told = {"content-length": str(len(body))} | dict(headers or {})
    told |= {"cookie": f"{COOKIE}={session}"} if session else {}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": raw, "path": "/", "query_string": b""}, receive)


def entered(access: Access) -> str:
    """The session of somebody who entered the token."""
    response = Response()
    assert access.enter(TOKEN, response)
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    return cookie.partition("=")[2].partition(";")[0]


def test_only_the_token_begins_a_session_and_guessing_is_slow() -> None:
    """After a wrong one even the right one is refused for a second."""
    access = Access(TOKEN)
    assert not access.may_act(request())
    session = entered(access)
    assert access.may_act(request(session))
    assert not access.may_act(request(session + "x"))
    assert not access.enter("wrong", Response())
    assert not access.enter(TOKEN, Response())
    access.leave(request(session), Response())
    assert not access.may_act(request(session))


def test_whoever_guesses_keeps_nobody_else_out() -> None:
    """Only many at once do, since together they would guess too fast."""
    access = Access(TOKEN)
    assert not access.enter("wrong", Response(), "10.0.0.1")
    assert not access.enter(TOKEN, Response(), "10.0.0.1")
    assert access.enter(TOKEN, Response(), "10.0.0.2")
    for number in range(100):
        access.enter("wrong", Response(), f"10.0.1.{number}")
    assert not access.enter(TOKEN, Response(), "10.0.0.2")


def test_a_stream_ends_with_the_session_that_it_was_opened_in() -> None:
    """Else whoever stopped acting, or whose twelve hours are over, would go on seeing what only the token shows."""
    access = Access(TOKEN, closed=True)
    of_session, pages = request(entered(access)), LivePages(site(access))

    async def read() -> None:
        answer = await pages.overview_stream(of_session)
        assert isinstance(answer, StreamingResponse)
        parts = aiter(answer.body_iterator)
        assert [await anext(parts), await anext(parts)]
        access.leave(of_session, Response())
        with pytest.raises(StopAsyncIteration):
            await anext(parts)

    asyncio.run(asyncio.wait_for(read(), 10))


def test_without_a_token_nobody_can_act() -> None:
    """The empty token is none."""
    access = Access("")
    assert not access.possible
    assert not access.enter("", Response())


def test_a_form_counts_only_in_its_own_session_and_from_our_own_pages() -> None:
    """Each session has another secret, and browsers say from which site a form comes."""
    access = Access(TOKEN)
    one, other = entered(access), entered(access)
    secret = access.csrf(request(one))
    assert access.is_ours(request(one), secret)
    assert not access.is_ours(request(other), secret)
    assert not access.is_ours(request(), "")
    assert not access.is_ours(request(one), "é")
    assert not access.is_ours(request(one, headers={"sec-fetch-site": "cross-site"}), secret)


class Never(Watching):
    """Reads nothing: there is no Kafka, and one snapshot of a world in memory."""

    def __init__(self) -> None:
        super().__init__(cast(Connection, None), threading.Event())
        self.snapshot = snapshot(flowing_world())


def site(access: Access) -> SiteParts:
    """What handlers share, without Kafka."""
    return SiteParts(cast(Connection, None), Never(), access, threading.Event())


def browser(access: Access) -> TestClient:
    """Asks a console with that access."""
    return TestClient(application(site(access), ""), base_url="http://127.0.0.1", follow_redirects=False)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
)
def test_no_page_of_another_site_can_lock_the_owner_out(headers: dict[str, str]) -> None:
    """Its wrong token does not count, so the right one is taken at once."""
    client = browser(Access(TOKEN))
    assert client.post("/enter", data={"token": "wrong"}, headers=headers).status_code == 403
    told = client.post("/enter", data={"token": TOKEN}, headers={"origin": "http://127.0.0.1"})
    assert (told.status_code, told.headers["location"]) == (303, "/")


def test_where_others_can_reach_it_every_page_needs_the_token() -> None:
    """But for the entry page, which leads back, whether it lives, and the files of pages."""
    client = browser(Access(TOKEN, closed=True))
    for path in ("/", "/stream", "/pipelines/loans", "/pipelines/loans/events?id=a", "/pipelines/loans/dead-letters"):
        told = client.get(path)
        assert (told.status_code, told.headers["location"]) == (303, f"/enter?next={quote(path, safe='')}")
        assert not told.content
    assert client.post("/pipelines/loans/ask").status_code == 403
    assert "Others can reach" in client.get("/enter").text
    assert client.get("/static/console.css").status_code == 200
    assert client.get("/live").status_code != 303
    told = client.post("/enter", data={"token": TOKEN, "next": "/pipelines/loans"})
    assert told.headers["location"] == "/pipelines/loans"
    assert client.get("/pipelines/loans/dead-letters").status_code == 200


def test_probes_and_scrapers_need_neither_a_token_nor_a_name() -> None:
    """They know a process by its address. Pages are refused under any name that is not ours."""
    client, pod = browser(Access(TOKEN, closed=True)), {"host": "10.1.2.3:8080"}
    for path, status, told in (
        ("/live", 503, "ended"),
        ("/ready", 503, "has not read yet"),
        ("/metrics", 200, 'freshet_console_snapshot_age_seconds{pipeline="",service="console"}'),
    ):
        answer = client.get(path, headers=pod)
        assert (answer.status_code, told in answer.text) == (status, True)
    for path in ("/", "/enter", "/static/console.css"):
        assert client.get(path, headers=pod).status_code == 400


def test_pages_of_other_sites_may_link_here_and_load_nothing() -> None:
    """As an image or by a script they would have Kafka searched for events, as often as they like."""
    client = browser(Access(""))
    for site in ("cross-site", "same-site"):
        told = {"sec-fetch-site": site}
        for mode in ("no-cors", "cors", "websocket"):
            refused = client.get("/pipelines/loans/events?id=a", headers=told | {"sec-fetch-mode": mode})
            assert (refused.status_code, "frame-ancestors" in refused.headers["content-security-policy"]) == (403, True)
        linked = told | {"sec-fetch-mode": "navigate"}
        assert client.get("/pipelines/loans", headers=linked | {"sec-fetch-dest": "iframe"}).status_code == 403
        assert client.get("/pipelines/loans", headers=linked | {"sec-fetch-dest": "document"}).status_code == 200
    assert client.get("/pipelines/loans", headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_on_loopback_pages_need_no_token() -> None:
    """Only this machine can ask for them."""
    assert browser(Access("")).get("/pipelines/loans/dead-letters").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.org", ""])
def test_without_a_token_only_loopback_is_listened_on(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """The sentence says what to set."""
    monkeypatch.delenv("FRESHET_CONSOLE_TOKEN", raising=False)
    with pytest.raises(SettingsError, match="needs FRESHET_CONSOLE_TOKEN"):
        ConsoleSettings.load(host)
    for near in ("127.0.0.1", "::1", "localhost"):
        assert not ConsoleSettings.load(near).token.get_secret_value()
    monkeypatch.setenv("FRESHET_CONSOLE_TOKEN", TOKEN)
    assert ConsoleSettings.load(host).token.get_secret_value() == TOKEN


def test_a_form_is_short() -> None:
    """Longer ones, and those without a length, are refused unread."""
    told = asyncio.run(fields(request(body=b"ask=pause+1&csrf=x")))
    assert told == {"ask": "pause 1", "csrf": "x"}
    with pytest.raises(HTTPException, match="at most"):
        asyncio.run(fields(request(body=b"a=" + b"x" * 9000)))
    with pytest.raises(HTTPException, match="at most"):
        asyncio.run(fields(request(headers={"content-length": "many"})))


def test_a_form_without_end_is_not_read() -> None:
    """Chunks beside a length are refused unread; of more bytes than were told at most a form's length is taken."""
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 4096, "more_body": taken < 100}

    def endless(**headers: str) -> Request:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return Request({"type": "http", "method": "POST", "headers": raw}, receive)

    with pytest.raises(HTTPException, match="not in chunks") as refused:
        asyncio.run(fields(endless(content_length="10", transfer_encoding="chunked")))
    assert (refused.value.status_code, taken) == (400, 0)
    with pytest.raises(HTTPException, match="at most") as refused:
        asyncio.run(fields(endless(content_length="10")))
    assert (refused.value.status_code, taken) == (413, 3)


def test_a_form_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry page is open to all: forms that are never sent must not keep their connections for ever."""
    monkeypatch.setattr(edge_body, "BODY_S", 0.05)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError("it waited")

    raw = [(b"content-length", b"10")]
    with pytest.raises(HTTPException, match="did not come") as refused:
        asyncio.run(fields(Request({"type": "http", "method": "POST", "headers": raw}, receive)))
    assert refused.value.status_code == 408


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "", "/a\nb"])
def test_after_entering_nobody_is_led_elsewhere(target: str) -> None:
    """Only addresses of the console itself."""
    assert _local(target) == "/"
    assert _local("/pipelines/loans") == "/pipelines/loans"


def test_a_short_token_is_refused_and_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be guessed."""
    monkeypatch.setenv("FRESHET_CONSOLE_TOKEN", "s3cret")
    with pytest.raises(SettingsError, match="at least 12") as told:
        ConsoleSettings.load("127.0.0.1")
    assert "s3cret" not in str(told.value)


def test_a_stream_sends_a_slow_reader_only_the_newest() -> None:
    """Whatever came between two looks is skipped, and what it has already is not sent again."""
    world, newest = flowing_world(), list[Snapshot]()
    cache = PartsCache(lambda found, _: {"q1": f"<p>{found.number}</p>", "q2": "same"}, Viewer(False, False))

    async def read() -> list[dict[str, Any]]:
        stream = changes(cache, lambda: newest[-1], 0, lambda: False)
        assert (await anext(stream)).startswith(b"retry")
        told = []
        for number in (1, 7):
            newest.append(snapshot(world, number))
            told.append(await anext(stream))
        await stream.aclose()  # type: ignore[attr-defined]
        assert told[1].startswith(b"id: 7\n")
        return [json.loads(one.partition(b"data: ")[2]) for one in told]

    first, second = asyncio.run(read())
    assert set(first["parts"]) == {"q1", "q2"}
    assert second["parts"] == {"q1": "<p>7</p>"}
