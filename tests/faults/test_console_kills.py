"""Services are killed while the console's page is open: the page says so, and says when they are back."""

import json
import random
import re
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.local_deployment import LocalDeployment
from freshet.lab.supervisor import Supervisor
from freshet.runtime.beats import INTERVAL_MS

pytestmark = [pytest.mark.kafka, pytest.mark.faults, pytest.mark.timeout(1200)]

KILLS: Final = 4
WAIT_S: Final = 60.0
ROWS: Final = {"ingestion": "ingestion", "inference": "inference", "drift": "drift-join"}
"""By process: the row of the page's table that is about it, where that has another name."""


ALIVE: Final = re.compile(r"\b1 of 1\b.*\b(all|some wait)\b")
GONE: Final = re.compile(r"\b(silent|dead)\b")


class OpenPage(threading.Thread):
    """Follows the stream of a page as a browser does, and keeps what its table of services says."""

    def __init__(self, address: str) -> None:
        super().__init__(name="page", daemon=True)
        self._answer = urllib.request.urlopen(f"{address}/stream", timeout=WAIT_S)
        self._table = ""

    def run(self) -> None:
        """See `threading.Thread`."""
        for line in self._answer:
            if line.startswith(b"data: "):
                self._table = json.loads(line[6:])["parts"].get("q2", self._table)

    def state(self, service: str) -> str:
        """The words in the row of that service."""
        rows = [row for row in self._table.split("<tr>") if f">{service}<" in row]
        return re.sub(r"<[^>]*>", " ", rows[0]) if rows else ""

    def wait(self, told: Callable[["OpenPage"], bool]) -> float:
        """Wait until the page tells that; returns how long it took."""
        began_s = time.monotonic()
        while not told(self):
            assert time.monotonic() - began_s < WAIT_S, self._table
            time.sleep(0.01)
        return time.monotonic() - began_s


def tells(service: str, words: re.Pattern[str], page: OpenPage) -> bool:
    """Whether the row of that service has these words."""
    return words.search(page.state(service)) is not None


def test_every_service_that_is_killed_is_told_on_the_open_page(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Several times each, at any moment between two of its beats. The longest time of each is printed."""
    chance = random.Random(7)
    folder = loans.folder_with_retraining(pipelines_dir() / "loans", tmp_path / "loans")
    longest: dict[str, float] = {}
    with LocalDeployment(kafka, namespace, folder, tmp_path / "logs", workers=1) as deployment:
        deployment.supervisor = Supervisor(tmp_path / "logs", final=[-signal.SIGKILL])
        deployment.apply()
        deployment.start()
        console = deployment.open_console()
        assert console is not None, (tmp_path / "logs/console.log").read_text()
        page = OpenPage(console.address)
        page.start()
        for name in deployment.services * KILLS:
            service = ROWS.get(name.partition("-")[0], name)
            page.wait(partial(tells, service, ALIVE))
            time.sleep(chance.random() * INTERVAL_MS / 1000)
            deployment.supervisor.kill(name)
            told_s = page.wait(partial(tells, service, GONE))
            longest[name] = max(longest.get(name, 0.0), told_s)
            deployment.run(name)
    shown = "\n".join(f"{name}: told after {seconds:.2f} s at most" for name, seconds in longest.items())
    sys.stdout.write(f"each was killed {KILLS} times\n{shown}\n")
