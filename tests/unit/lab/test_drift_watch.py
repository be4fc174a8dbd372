"""What the demo waits for is what it shows next."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from freshet.contracts.evaluation_message import Evaluation
from freshet.drift.service import EVALUATE
from freshet.lab.demo.drift_watch import DriftWatch, show_quality
from freshet.lab.demo.narrator import Narrator
from freshet.lab.local_deployment import LocalDeployment
from freshet.ledger.ledger import PipelineLedger
from freshet.testing.memory_pipeline import MemoryPipeline
from support.console import MINUTE_MS, NOW_MS, PIPELINE, evaluation

HEALED_MS = NOW_MS


class Coming:
    """A view that looks again and again; before each look the next evaluation has come."""

    def __init__(self, pipeline: MemoryPipeline, coming: Iterator[Evaluation]) -> None:
        self.ledger = PipelineLedger(PIPELINE)
        self.looks = 0
        self._pipeline, self._coming = pipeline, coming

    def wait(self, what: str, found: Callable[[Any], Any]) -> Any:
        """As `View.wait`."""
        while True:
            self._pipeline.tell("evaluations", PIPELINE, next(self._coming))
            self.looks += 1
            if (result := found(self)) is not None:
                return result


def watching(said: list[Evaluation]) -> tuple[DriftWatch, Coming]:
    """A watch that is told these one by one, and the view that it looks through."""
    pipeline = MemoryPipeline(EVALUATE.name, partitions=1, references=EVALUATE.clues)
    view = Coming(pipeline, iter(said))
    deployment = SimpleNamespace(bus=pipeline.bus, view=view, spec=SimpleNamespace(pipeline=PIPELINE))
    return DriftWatch(cast(LocalDeployment, deployment)), view


def test_an_evaluation_of_before_is_not_taken_for_one_of_since_then() -> None:
    """Step 8 waited for any evaluation of the new model, and then had nothing to show of what was asked since."""
    said = [
        evaluation("version:1.1.0", HEALED_MS - 20 * MINUTE_MS, 250),
        evaluation("served", HEALED_MS + 10 * MINUTE_MS, 240),
        evaluation("version:1.0.1", HEALED_MS + 15 * MINUTE_MS, 100),
        evaluation("version:1.1.0", HEALED_MS + 17 * MINUTE_MS, 250, view="closed"),
        evaluation("version:1.1.0", HEALED_MS + 20 * MINUTE_MS, 249),
        evaluation("version:1.1.0", HEALED_MS + 40 * MINUTE_MS, 250),
    ]
    watch, view = watching(said)
    watch.wait_quality("1.1.0", HEALED_MS)
    assert view.looks == 5
    shown = {one.name: one.counts.rows for one in watch.quality(HEALED_MS).series}
    assert shown == {"served": 250, "version:1.0.1": 250, "version:1.1.0": 250}


@pytest.mark.parametrize(("rival", "titles"), [(False, ["1.1.0"]), (True, ["all that was served", "1.0.1", "1.1.0"])])
def test_all_that_was_served_is_told_beside_several_versions_only(rival: bool, titles: list[str]) -> None:
    """A newcomer read that one version had more labels than all that was served: they are of different labels."""
    said = [
        evaluation("served", HEALED_MS + 10 * MINUTE_MS, 240),
        *([evaluation("version:1.0.1", HEALED_MS + 15 * MINUTE_MS, 100)] if rival else []),
        evaluation("version:1.1.0", HEALED_MS + 40 * MINUTE_MS, 250),
    ]
    watch, _ = watching(said)
    watch.wait_quality("1.1.0", HEALED_MS)
    lines: list[str] = []
    show_quality(cast(Narrator, SimpleNamespace(text=lines.append)), watch.quality(HEALED_MS))
    assert [line.strip().split("  ")[0] for line in lines] == titles
