"""What people see of profiles: added up as a plain count has it, most changed first, and safe to open."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from freshet.cli import profile_command as cli
from freshet.cli.output import Exit
from freshet.operate.profile.profile_page import compared_page, shown_page
from freshet.operate.profile.profile_tables import bars, shown_rows
from freshet.operate.profile.profile_view import compared, document, overlap, stretch
from support.frames import START_MS, ProfileLog


class _Page(HTMLParser):
    """Collects the tags, and what they load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]


def made() -> tuple[ProfileLog, np.ndarray[Any, np.dtype[np.float64]]]:
    """5,000 rows of two features, the second of which moves in the last 2,000; a hostile name."""
    rows = np.random.default_rng(1).normal(size=(5000, 2))
    rows[3000:, 1] += 2.0
    rows[7, 0] = np.nan
    rows[11, 0] = 1e6
    log = ProfileLog(rate=1.0, rows=500)
    log.features(rows, names=["<script>alert(1)</script>", "moving"])
    return log, rows


def test_a_stretch_is_what_a_plain_count_says() -> None:
    """Of all frames, and of those in a range of time."""
    log, rows = made()
    whole = stretch(log.frames, "features")
    assert whole is not None
    told = document(whole)
    assert (told["rows"], told["frames"]) == (5000, 10)
    assert told["columns"][0]["nulls"] == 1
    assert told["columns"][1]["mean"] == pytest.approx(rows[:, 1].astype(np.float32).mean(), rel=1e-6)
    assert sum(told["columns"][1]["bins"]) == 5000
    assert whole.unusual[0][:2] == (0, 11)
    late = stretch(log.frames, "features", START_MS + 3_000_000)
    assert late is not None
    assert late.content.rows == 2000
    assert stretch(log.frames, "answers") is None


def test_what_changed_most_comes_first() -> None:
    """With how far it moved, in standard deviations of what was before."""
    log, _ = made()
    before, now = (
        stretch(log.frames, "features", 0, START_MS + 3_000_000),
        stretch(log.frames, "features", START_MS + 3_000_000),
    )
    assert before is not None
    assert now is not None
    first, second = compared(before, now, log.edges)
    assert first.name == "moving"
    assert first.index > 1
    assert second.index < 0.1
    assert first.moved == pytest.approx(2.0, abs=0.2)
    assert compared(before, now, {})[0].moved != first.moved


def test_times_that_overlap_are_explained() -> None:
    """A frame of a slow partition began before the asked time and ended long after it; it lies on one side, whole."""
    log, _ = made()
    before = stretch(log.frames, "features", 0, START_MS + 3_000_000)
    now = stretch(log.frames, "features", START_MS + 3_000_000)
    assert before is not None
    assert now is not None
    assert overlap(before, now) == ""
    late = replace(before, last_ms=now.first_ms + 900_000)
    assert "no row is counted twice" in overlap(late, now)
    page = compared_page("p", [("features", late, now, compared(late, now, log.edges))], "today")
    assert "no row is counted twice" in page


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    """Names of columns are a user's, and go into HTML as text."""
    log, _ = made()
    before = stretch(log.frames, "features", 0, START_MS + 3_000_000)
    now = stretch(log.frames, "features", START_MS + 3_000_000)
    assert before is not None
    assert now is not None
    changes = compared(before, now, log.edges)
    for text in (
        shown_page("p", [("features", before)], "today"),
        compared_page("p", [("features", before, now, changes)], "today"),
    ):
        page = _Page()
        page.feed(text)
        assert page.tags.count("svg") == 2
        assert "script" not in page.tags
        assert page.loads == []


def test_every_row_that_is_there_shows() -> None:
    """A bin with one row among thousands is no empty one."""
    assert bars([0, 1, 1000]) == " ▁█"
    assert bars([0, 0]) == "  "
    log, _ = made()
    whole = stretch(log.frames, "features")
    assert whole is not None
    assert [len(row[-1]) for row in shown_rows(whole)] == [20, 20]


@pytest.fixture
def freshet(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `freshet profile` on the log above."""
    log, _ = made()
    facts = type("Facts", (), {"edges": log.edges})()
    monkeypatch.setattr(cli, "_read", lambda pipeline, bootstrap, namespace: (log.frames, None))
    monkeypatch.setattr(cli, "facts_of", lambda bus, pipeline: facts)
    monkeypatch.setattr(cli, "_calibrations", lambda bus, pipeline: {})
    app = typer.Typer()
    app.add_typer(cli.app, name="profile")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["profile", *arguments, "--pipeline", "p"])

    return run


def test_the_command_shows_compares_and_writes_a_page(freshet: Any, tmp_path: Any) -> None:
    """For people and as a document; with nothing in the range it says so and exits with 4."""
    page = tmp_path / "page.html"
    shown = freshet("show", "--html", str(page))
    assert shown.exit_code == 0, shown.output
    assert "moving" in shown.stdout
    assert "<svg" in page.read_text()
    assert '"moving"' in freshet("compare", "--json").stdout
    lost = freshet("show", "--html", str(tmp_path / "away" / "page.html"))
    assert lost.exit_code == Exit.USAGE
    assert "There is no folder" in lost.stderr
    nothing = freshet("show", "--to", "2001-01-01T00:00Z")
    assert nothing.exit_code == Exit.CHECK
    assert "no frames" in nothing.stdout


def test_the_command_tells_what_is_estimated(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Of all that is shown, and of both sides of a comparison; in the terminal, as a document and on the page."""
    log, page = ProfileLog(rate=1.0), tmp_path / "page.html"
    log.answers(np.full(4096, 0.9), version="1.0.0")
    log.answers(np.full(2048, 0.6), version="1.0.1")
    monkeypatch.setattr(cli, "_read", lambda pipeline, bootstrap, namespace: (log.frames, None))
    monkeypatch.setattr(cli, "facts_of", lambda bus, pipeline: type("Facts", (), {"edges": log.edges})())
    monkeypatch.setattr(cli, "_calibrations", lambda bus, pipeline: {})
    app = typer.Typer()
    app.add_typer(cli.app, name="profile")
    shown = CliRunner().invoke(app, ["profile", "show", "--pipeline", "p", "--html", str(page)])
    assert "Estimated without labels" in shown.stdout
    assert "Estimated without labels" in page.read_text()
    split = f"{datetime.fromtimestamp(START_MS / 1000 + 4096, UTC):%Y-%m-%dT%H:%M:%SZ}"
    asked = ["profile", "compare", "--pipeline", "p", "--from", split, "--html", str(page), "--json"]
    told = json.loads(CliRunner().invoke(app, asked).stdout)
    assert [one["version"] for one in told["estimated_before"]["versions"]] == ["1.0.0"]
    assert [one["version"] for one in told["estimated"]["versions"]] == ["1.0.1"]
    assert page.read_text().count("<h3>") == 2


def test_edges_that_changed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows between older ones are left out of a stretch; two sides that have nothing in common are not compared."""
    log, chance = ProfileLog(rate=1.0), np.random.default_rng(7)
    log.features(chance.normal(size=(3072, 2)))
    log._chosen.clear()
    log.features(chance.normal(size=(2048, 2)) * 50)
    whole = stretch(log.frames, "features")
    assert whole is not None
    assert (whole.content.rows, whole.left_out) == (2048, 3072)
    assert whole.content.bins.any()
    assert "3,072 rows before were counted between other edges" in whole.told
    monkeypatch.setattr(cli, "_read", lambda pipeline, bootstrap, namespace: (log.frames, None))
    monkeypatch.setattr(cli, "facts_of", lambda bus, pipeline: type("Facts", (), {"edges": log.edges})())
    monkeypatch.setattr(cli, "_calibrations", lambda bus, pipeline: {})
    app = typer.Typer()
    app.add_typer(cli.app, name="profile")
    split = f"{datetime.fromtimestamp(START_MS / 1000 + 3072, UTC):%Y-%m-%dT%H:%M:%SZ}"
    found = CliRunner().invoke(app, ["profile", "compare", "--pipeline", "p", "--from", split])
    assert found.exit_code == Exit.CHECK
    assert "changed in between: a comparison begins anew there" in " ".join(found.output.split())
