"""Pages from facts, without a broker: what is on them, what is never on them, and what changes."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from freshet.console.core.overview import KafkaState, overview
from freshet.console.core.private_fields import MASK, private_fields
from freshet.console.page_parts import PartsCache, Viewer, overview_parts, pipeline_parts
from freshet.console.record_pages import letter_value
from freshet.console.rendering import Rendering
from freshet.console.snapshot import Snapshot
from support.console import EVENT_SCHEMA, NOW_MS, PIPELINE, ConsoleWorld, alarm, flowing_world, some_letters

ACTS, READS = Viewer(True, True), Viewer(False, True)


def snapshot(world: ConsoleWorld, number: int = 1, trouble: str = "") -> Snapshot:
    """All pages of a world."""
    screen = world.screen(some_letters())
    kafka = KafkaState("127.0.0.1:9092", NOW_MS, trouble, 14, 99, True, 0, {})
    page = overview(world.folded, [screen], kafka, "", world.now_ms)
    return Snapshot(number, world.now_ms, page, {PIPELINE: screen})


def whole(world: ConsoleWorld, viewer: Viewer = READS, **values: Any) -> str:
    """The page of the pipeline."""
    rendering, found = Rendering(), snapshot(world)
    parts = pipeline_parts(rendering, PIPELINE)(found, viewer)
    common = {"title": PIPELINE, "pipeline": PIPELINE, "namespace": "", "stream": "/s", "csrf": "token"}
    return rendering.page(
        "pipeline", found.now_ms, parts, **(common | {"acts": viewer.acts, "may_enter": True} | values)
    )


class _Balanced(HTMLParser):
    """Notes tags that are closed in another order than they were opened."""

    VOID = frozenset({"meta", "link", "input", "br", "path", "rect", "circle", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"{tag} at {self.getpos()}")


@pytest.mark.parametrize("viewer", [ACTS, READS])
def test_a_page_is_whole_html_that_needs_nothing_from_elsewhere(viewer: Viewer) -> None:
    """No inline style or script, which its policy forbids; no address of another host; every tag is closed."""
    html = whole(flowing_world(), viewer)
    parser = _Balanced()
    parser.feed(html)
    assert (parser.wrong, parser.open) == ([], [])
    assert not re.search(r"\sstyle=|<style|<script(?! type=\"module\" src=\"/static/)|javascript:|\son\w+=", html)
    assert "://" not in html
    assert html.count("<section") == 7


def test_each_age_is_told_without_the_script() -> None:
    """And has the moment that it counts from."""
    html = whole(flowing_world())
    ages = re.findall(r'<span class="age" data-at="(\d+)"[^>]*>([^<]*)<', html)
    assert ages
    assert all(text.endswith("ago") or text == "–" for _, text in ages)


def test_only_who_may_act_can_press() -> None:
    """Somebody else sees the command lines, and buttons that are off."""
    assert '<form id="act"' in whole(flowing_world(), ACTS)
    reads = whole(flowing_world(), READS)
    assert '<form id="act"' not in reads
    assert all("disabled" in tag for tag in re.findall(r"<button class=\"btn[^>]*>", reads))
    assert "freshet model pause" in reads


def test_what_topics_say_is_escaped() -> None:
    """Whoever writes an alarm's text or a version's name writes no page."""
    world = flowing_world()
    evil = "<script>alert(1)</script>"
    world.tell("alarms", PIPELINE, alarm("a1", NOW_MS, text=evil, subject=evil, detector=evil))
    world.live(2, evil)
    html = whole(world)
    assert evil not in html
    assert "&lt;script&gt;" in html


def test_only_what_changed_is_sent() -> None:
    """A slow reader gets the newest of each part once; ages alone change nothing."""
    world, rendering = flowing_world(), Rendering()
    cache = PartsCache(pipeline_parts(rendering, PIPELINE), READS)
    first = snapshot(world, 1)
    assert set(cache.since(first, 0)) == {"banner", "head", "six", *(f"q{number}" for number in range(1, 8))}
    world.now_ms += 1000
    assert set(cache.since(snapshot(world, 2), 1)) <= {"q1", "q2", "q3"}
    world.tell("alarms", PIPELINE, alarm("a1", world.now_ms))
    third = snapshot(world, 3)
    assert {"q4", "six", "head"} <= set(cache.since(third, 2))
    assert cache.since(third, 3) == {}
    assert "q4" in cache.since(third, 1)


def test_without_kafka_every_page_says_so_first() -> None:
    """And nothing can be pressed."""
    rendering, found = Rendering(), snapshot(flowing_world(), trouble="Kafka did not answer within 2 s.")
    parts = pipeline_parts(rendering, PIPELINE)(found, ACTS)
    assert "does not answer" in parts["banner"]
    assert all("disabled" in tag for tag in re.findall(r"<button class=\"btn[^>]*>", parts["q7"]))
    assert "does not answer" in overview_parts(rendering)(found, READS)["banner"]


def test_private_fields_and_what_is_made_of_them_are_masked() -> None:
    """`"private": true` in the event schema; a nested field by its whole name."""
    found = private_fields([EVENT_SCHEMA], flowing_world().folded.facts(PIPELINE).spec)
    assert found.fields == {"salary"}
    assert found.features == {"salary"}
    assert found.masked({"salary": 12.0, "age": 3}) == {"salary": MASK, "age": 3}
    nested = """{"type": "record", "name": "E", "fields": [{"name": "who", "type": ["null",
      {"type": "record", "name": "W", "fields": [
        {"name": "iban", "type": "string", "private": true}, {"name": "age", "type": "int"}]}]}]}"""
    inner = private_fields([nested], None)
    assert inner.fields == {"who.iban"}
    assert inner.masked({"who": {"iban": "DE1", "age": 4}}) == {"who": {"iban": MASK, "age": 4}}
    assert not private_fields([], None)
    spec = flowing_world().folded.facts(PIPELINE).spec
    entity = private_fields(
        [EVENT_SCHEMA.replace('"applicant", "type": "string"', '"applicant", "type": "string", "private": true')], spec
    )
    assert entity.masked_copy({"entity": "me", "event_id": "e", "label": "ok"})["entity"] == MASK


def test_a_letter_that_cannot_be_decoded_says_why_unless_that_is_private() -> None:
    """Such as a registry that is away; the sentence stands beside the bytes."""
    away = {"undecodable": "schema id 7 of http://r", "detail": "http://r does not answer.", "bytes": 5, "hex": "00"}
    none = private_fields([], None)
    assert letter_value("events", {"heat": 1}, none) == ({"heat": 1}, "")
    assert letter_value("events", None, none) == (None, "")
    assert letter_value("events", away, private_fields([EVENT_SCHEMA], None)) == (None, "")
    decoded, why = letter_value("events", away, none)
    letter = SimpleNamespace(reason="input_range", detail="d", timestamp_ms=NOW_MS, original="events 0/1", headers={})
    found = snapshot(flowing_world())
    parts = pipeline_parts(Rendering(), PIPELINE)(found, READS)
    common = {"title": "t", "pipeline": PIPELINE, "namespace": "", "stream": "/s", "csrf": "c", "acts": False}
    html = Rendering().page(
        "letter",
        NOW_MS,
        parts,
        **(
            common
            | {"may_enter": True, "letter": letter, "decoded": decoded, "why": why, "hex": ["00"], "place": "0@1"}
        ),
    )
    assert "It cannot be decoded: schema id 7 of http://r. http://r does not answer." in html
