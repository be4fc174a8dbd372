"""What the thread that reads Kafka hands over to whoever answers requests: values that never change."""

from collections.abc import Mapping
from dataclasses import dataclass

from freshet.console.core.overview import Overview
from freshet.console.core.pipeline_screen import PipelineScreen


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All pages as of one moment."""

    number: int
    """Counts up, also from one run of the console to the next: what a page has of an earlier run is older."""
    now_ms: int
    """The moment, by the broker's clock."""
    overview: Overview
    screens: Mapping[str, PipelineScreen]
    """By pipeline."""
