"""The main figure in a Chromium, of a world in memory: values are read by mouse, by keyboard, and as a table."""

import threading
import time
from collections.abc import Iterator
from typing import Any, Final, cast

import pytest
import uvicorn

from freshet.console.access import Access
from freshet.console.site_parts import SiteParts
from freshet.console.watching import Watching
from freshet.console.web import application
from freshet.lab.ports import free_port
from freshet.operate.connection import Connection
from support.browser import chromium, needs_chromium, page_of
from support.console import flowing_world
from unit.console.test_rendering import snapshot

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(120), needs_chromium]

WAIT_MS: Final = 20_000


@pytest.fixture
def watching() -> Iterator[tuple[str, Watching]]:
    """A console that shows one snapshot until it is given another; there is no Kafka."""
    stop, port = threading.Event(), free_port()
    made = Watching(cast(Connection, None), stop)
    made.snapshot = snapshot(flowing_world())
    site = SiteParts(cast(Connection, None), made, Access(""), stop)
    server = uvicorn.Server(uvicorn.Config(application(site, ""), port=port, log_config=None))
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/pipelines/loans", made
    stop.set()
    server.should_exit = True
    serving.join(10)


def told(page: Any) -> str:
    """What the cross-hair says."""
    return str(page.locator(".chart.only-wide .cross").get_attribute("data-time"))


def test_values_are_read_by_mouse_by_keyboard_and_as_a_table(watching: tuple[str, Watching]) -> None:
    """All of them tell the same; neither the cross-hair nor the open table goes when the page gets news."""
    address, made = watching
    with chromium() as browser, page_of(browser) as page:
        page.goto(address, wait_until="domcontentloaded")
        chart = page.locator(".chart.only-wide")
        chart.focus()
        for _ in range(20):
            page.keyboard.press("ArrowLeft")
            if "served" in told(page):
                break
        value = told(page).partition("served ")[2].partition(" ")[0]
        page.click(".values summary")
        assert page.locator(f".values td:text-is('{value}')").count() > 0
        assert page.text_content("#said") == told(page)
        box = chart.bounding_box()
        chart.hover(position={"x": box["width"] * 0.7, "y": box["height"] * 0.6})
        by_mouse = told(page)
        assert by_mouse.count(":") == 2
        world = flowing_world()
        world.beat("inference", "1", age_ms=9_500)
        world.live(2, "1.0.0")
        made.snapshot = snapshot(world, number=2)
        page.wait_for_selector("#q2:has-text('inference/loans/1')", timeout=WAIT_MS)
        assert told(page) == by_mouse
        assert page.locator(".values").get_attribute("open") is not None
