"""The console in a real Chromium, on a real Kafka: the path of an operator through a drift and back.

With FRESHET_SCREENSHOTS=FOLDER the pictures are kept there; `make screenshots` keeps them in docs/images.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.console_process import OpenConsole
from freshet.lab.demo import loans
from freshet.lab.demo.story import Story
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.records import readable
from freshet.operate.tail import Tail
from freshet.runtime.bus.protocol import Bus
from support.browser import SIZES, Scheme, chromium, keep, needs_chromium, page_of

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(900), needs_chromium]

WAIT_MS: Final = 60_000


class Quiet:
    """A narrator that shows nothing."""

    def chapter(self, title: str) -> None: ...
    def line(self, text: str) -> None: ...
    def text(self, text: str) -> None: ...
    def judgement(self, found: object) -> None: ...
    def scores(self, found: object, spec: object) -> None: ...

    def waiting(self, what: str) -> AbstractContextManager[None]:
        """Without a sign."""
        return nullcontext()


@dataclass
class Stage:
    """A deployment whose world has changed and whose model was trained anew, under load; and its console."""

    deployment: LocalDeployment
    console: OpenConsole
    browser: Any
    pictures: Path

    @property
    def address(self) -> str:
        """Of the pipeline's page."""
        return f"{self.console.address}/pipelines/loans"

    def keep(self, page: Any, name: str) -> None:
        """A picture."""
        keep(page, self.pictures / f"{name}.png")


@pytest.fixture(scope="module")
def stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The story of the demo up to the model that learned from the change; the load goes on."""
    folder = tmp_path_factory.mktemp("console")
    pipeline = loans.folder_with_retraining(pipelines_dir() / "loans", folder / "loans")
    namespace = f"c{os.getpid()}."
    with LocalDeployment(kafka, namespace, pipeline, folder / "logs", workers=2) as deployment, chromium() as browser:
        deployment.apply()
        deployment.start()
        console = deployment.open_console()
        assert console is not None, (folder / "logs/console.log").read_text()
        story = Story(deployment, Quiet())
        story.until_recovered()
        pictures = Path(os.environ.get("FRESHET_SCREENSHOTS", str(folder / "pictures")))
        yield Stage(deployment, console, browser, pictures.resolve())


def opened(page: Any, address: str) -> None:
    """Go there, and wait until its stream says that it lives."""
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_selector("#beat-word:text-is('live')", timeout=WAIT_MS)


def enter(page: Any, console: OpenConsole) -> None:
    """Enter the token."""
    page.goto(f"{console.address}/enter?next=/pipelines/loans", wait_until="domcontentloaded")
    page.fill("#token", console.token)
    page.click("main button")
    page.wait_for_url("**/pipelines/loans")


def press(page: Any, label: str) -> None:
    """Press a button of the section with the actions, once it can be pressed."""
    button = page.locator(f"#q7 button.btn:not([disabled]):has-text({label!r})")
    button.wait_for(timeout=WAIT_MS)
    button.click()


def follow_an_alarm(page: Any) -> None:
    """From its mark in the figure to its row, by keyboard; again where the figure was drawn anew in between."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while "#alarm-" not in page.url:
        assert time.monotonic() < deadline, "no alarm could be followed"
        page.locator("#q3 .chart.only-wide a[href^='#alarm-']").first.press("Enter")
        page.wait_for_timeout(100)


def test_an_operator_sees_the_drift_and_acts_on_it(stage: Stage) -> None:
    """From all pipelines to the alarm, the evidence, and through pause, resume, rollback and redrive."""
    with page_of(stage.browser) as page:
        opened(page, stage.console.address)
        page.wait_for_selector("#head:has-text('needs a look'), #head:has-text('is right')", timeout=WAIT_MS)
        stage.keep(page, "console-overview-1280")
        page.click("#pipes a:has-text('loans')")
        page.wait_for_selector("#q4 tr[id^=alarm-]", timeout=WAIT_MS)
        page.wait_for_selector("#q4:has-text('since row')", timeout=WAIT_MS)
        follow_an_alarm(page)

        page.click("#q5 a:has-text('the model')")
        page.wait_for_selector("text=What was it worth?")
        assert "pass" in page.text_content("#q1")
        page.click("#q2 td a")
        page.wait_for_selector("text=What speaks for it?")
        assert "may be worse than" in page.text_content("#q2")
        assert page.locator(".heatgrid div").count() == stage.deployment.spec.partitions
        stage.keep(page, "console-rollout-1280")

        opened(page, stage.address)
        assert page.locator("#q7 button.btn:not([disabled])").count() == 0
        enter(page, stage.console)
        press(page, "Pause rollouts")
        page.wait_for_selector("#q7 .log li:has-text('pause') >> text=done", timeout=WAIT_MS)
        press(page, "Resume rollouts")
        page.wait_for_selector("#q7 .log li:has-text('resume') >> text=done", timeout=WAIT_MS)
        press(page, "Roll back")
        page.wait_for_selector(".head:has-text('answers everything')", timeout=WAIT_MS)
        page.click("main button:has-text('now')")
        page.wait_for_selector("#q7 .log li:has-text('rollback') >> text=no longer", timeout=WAIT_MS)
        press(page, "Redrive")
        page.wait_for_selector("text=would be sent again")
        page.click("main button:has-text('now')")
        page.wait_for_selector("#told:has-text('were sent again')", timeout=WAIT_MS)
    assert stage.deployment.wait_live("1.0.1").cause == "rollback"


def test_a_stranger_cannot_act(stage: Stage) -> None:
    """Without the token there is no form; a wrong token, a form from elsewhere and a wrong host are refused."""
    with page_of(stage.browser) as page:
        answers = page.request
        assert answers.post(f"{stage.address}/ask", form={"ask": "pause 1", "csrf": "x"}).status == 403
        assert answers.get(stage.address, headers={"Host": "evil.example"}).status == 400
        assert answers.get(f"{stage.address}/rollouts/x").status == 400
        assert answers.get(f"{stage.console.address}/pipelines/nobody").status == 404
        headers = answers.get(stage.address).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        opened(page, stage.address)
        assert stage.console.token not in page.content()
    with stage.browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{stage.console.address}/enter", wait_until="domcontentloaded")
        page.fill("#token", "not the token")
        page.click("main button")
        page.wait_for_selector("main:has-text('That is not the token')", timeout=WAIT_MS)


@pytest.mark.parametrize("name", ["ingestion-0", "inference-0", "drift-0", "retraining", "registry"])
def test_a_service_that_hangs_is_silent_then_dead_and_comes_back(stage: Stage, name: str) -> None:
    """The page says so while it is open, without being loaded again."""
    pid = stage.deployment.supervisor.pid(name)
    assert pid is not None
    row = f"#q2 tr:has-text({name.partition('-')[0]!r})"
    with page_of(stage.browser) as page:
        opened(page, stage.console.address)
        os.kill(pid, signal.SIGSTOP)
        try:
            page.wait_for_selector(f"{row} >> text=silent", timeout=WAIT_MS)
            page.wait_for_selector(f"{row} >> text=dead", timeout=WAIT_MS)
        finally:
            os.kill(pid, signal.SIGCONT)
        page.wait_for_selector("#q2 .answer:has-text('processes beat.')", timeout=2 * WAIT_MS)


@pytest.mark.parametrize("width", sorted(SIZES))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_nothing_is_wrong_with_it(stage: Stage, width: int, scheme: Scheme) -> None:
    """No error in the browser's console, no scrolling sideways, at both widths and in both themes."""
    event_id = _some_event(stage.deployment.bus)
    pages = {
        "": "pipeline",
        "/models": "models",
        "/models/1.1.0": "model",
        "/rollouts/3": "rollout",
        "/decisions": "decisions",
        "/dead-letters": "dead-letters",
        f"/events?id={event_id}": "event",
    }
    with page_of(stage.browser, width, scheme) as page:
        for path, name in pages.items():
            page.goto(stage.address + path, wait_until="domcontentloaded")
            if not path:
                page.wait_for_selector("#q6 tbody tr", timeout=WAIT_MS)
            assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[width][0], path
            if name == "pipeline" or (width == 1280 and scheme == "light" and name in ("event", "model")):
                stage.keep(page, f"console-{name}-{width}-{scheme}")
        letter = page.request.get(f"{stage.address}/dead-letters").text()
        place = letter.partition("/pipelines/loans/dead-letters/")[2].partition('"')[0]
        page.goto(f"{stage.address}/dead-letters/{place}", wait_until="domcontentloaded")
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[width][0]
        assert page.locator(".hex").count() == 1


def _some_event(bus: Bus) -> str:
    """The id of an event that was answered lately."""
    (row,) = Tail(bus, "predictions", readable(bus)).last(1)
    return str(row["value"]["event_id"])
