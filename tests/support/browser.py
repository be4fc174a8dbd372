"""A real Chromium: the machine's own, driven by playwright, which fetches none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import pytest

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES: Final = {1280: (1280, 800), 390: (390, 844)}
_PIXELS: Final = {1280: 1_600_000, 390: 1_150_000}
Scheme = Literal["light", "dark"]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: `apt-get install --no-install-recommends chromium`"
)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser, without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (only where there is a Chromium)

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Any, width: int = 1280, scheme: Scheme = "light") -> Iterator[Any]:
    """A page of a window of its own; fails if anything was logged as an error, or an address could not be had."""
    size = SIZES[width]
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
    )
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda told: wrong.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    found = list(wrong)  # closing ends the event stream, which is no fault
    context.close()
    assert found == []


def keep(page: Any, path: Path) -> None:
    """A picture of the page, of as much from its top on as makes a small file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wide = page.viewport_size["width"]
    high = min(page.evaluate("document.documentElement.scrollHeight"), _PIXELS[wide] // wide)
    page.screenshot(path=str(path), full_page=True, clip={"x": 0, "y": 0, "width": wide, "height": high})
