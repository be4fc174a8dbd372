"""The parts of each page that follows Kafka: rendered once for a snapshot, however many people look at it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from freshet.console.rendering import Rendering
from freshet.console.snapshot import Snapshot

_QUESTIONS: Final = tuple(f"q{number}" for number in range(1, 8))


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: pages of somebody who may act have other buttons."""

    acts: bool
    may_enter: bool


Render = Callable[[Snapshot, Viewer], dict[str, str]]
"""The parts of a page by their element's id."""


@dataclass(slots=True)
class PartsCache:
    """The newest parts of one page, and with which snapshot each of them changed last."""

    render: Render
    viewer: Viewer
    number: int = 0
    parts: dict[str, str] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)

    def at(self, snapshot: Snapshot) -> Mapping[str, str]:
        """All parts as of this snapshot."""
        if snapshot.number > self.number:
            for name, html in self.render(snapshot, self.viewer).items():
                if self.parts.get(name) != html:
                    self.parts[name], self.changed[name] = html, snapshot.number
            self.number = snapshot.number
        return self.parts

    def since(self, snapshot: Snapshot, number: int) -> dict[str, str]:
        """The parts that somebody who has those of snapshot `number` lacks: of several changes only the newest."""
        parts = self.at(snapshot)
        return {name: html for name, html in parts.items() if self.changed[name] > number}


def overview_parts(rendering: Rendering) -> Render:
    """Of the page of all pipelines."""

    def render(snapshot: Snapshot, _: Viewer) -> dict[str, str]:
        values = {"o": snapshot.overview, "kafka": snapshot.overview.kafka, "now_ms": snapshot.now_ms}
        named = {
            "banner": "banner",
            "head": "overview_head",
            "pipes": "pipes",
            "q2": "alive",
            "q3": "kafka",
            "q4": "happened",
        }
        return {part: rendering.part(template, **values) for part, template in named.items()}

    return render


def pipeline_parts(rendering: Rendering, pipeline: str) -> Render:
    """Of the page of one pipeline; none while it is not there."""

    def render(snapshot: Snapshot, viewer: Viewer) -> dict[str, str]:
        screen = snapshot.screens.get(pipeline)
        if screen is None:
            return {}
        kafka = snapshot.overview.kafka
        values = {
            "s": screen,
            "kafka": kafka,
            "now_ms": snapshot.now_ms,
            "kafka_away": bool(kafka.trouble),
            "acts": viewer.acts,
            "may_enter": viewer.may_enter,
        }
        return {part: rendering.part(part, **values) for part in ("banner", "head", "six", *_QUESTIONS)}

    return render
