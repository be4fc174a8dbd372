"""A stream served step by step, so that the same table gives the same labelled log, trainings and models again.

Each step sends some events, waits for their answers, sends the labels that are due, and waits until these stand in the
labelled log. So it is decided by the table alone, and by no clock, which labels were known when an event was answered.
Where a training is due the stream is held until its model answers, or was refused. With one partition the rows of the
log have the order of the table, too.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

import numpy as np

from freshet.lab.demo.answer_book import AnswerBook
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.training_watch import TrainingWatch, training_line
from freshet.lab.load import Sent
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.event_values import plain
from freshet.operate.tables.events import Events
from freshet.operate.training_runs import Run
from freshet.pipeline import PipelineSpec

STEP_EVENTS: Final = 250


def serve_in_steps(
    deployment: LocalDeployment, narrator: Narrator, events: Events, labels_after: int, *, heard: Callable[[], None]
) -> Sent:
    """Send all events with their labels, and have every training that is due done in between.

    A label is sent at the end of the first step in which so many further events have been sent; with 0 at the end of
    its own. `heard` is called after each step. Raises LocalError if services do not keep up.
    """
    ids, labels = event_ids(events, deployment.spec), events.labels or []
    sender, labeller = deployment.load(), deployment.load(labels_after=0)
    sent, labelled = Sent(), set[str]()
    with AnswerBook(deployment.bus, deployment.spec) as book, closing(Cadence(deployment, narrator)) as cadence:
        for start in range(0, len(events), STEP_EVENTS):
            end = min(start + STEP_EVENTS, len(events))
            for _ in sender.publish([events.part(np.arange(start, end))]):
                pass
            sent.events = end
            book.wait_answered(end)
            due = np.arange(*_due(start, end, len(events), labels_after))
            if due.size:
                labeller.owe_labels(events.part(due))
                labeller.send_last_labels(sent)
            labelled |= {ids[row] for row in due.tolist() if labels[row]}
            book.wait_labelled(labelled)
            heard()
            cadence.at(len(book.log))
    return sent


def _due(start: int, end: int, total: int, labels_after: int) -> tuple[int, int]:
    """Of which events the labels are sent when those of [start, end) have been; at the very end all that are left."""
    return max(0, start - labels_after), end if end == total else max(0, end - labels_after)


class Cadence:
    """Waits for what the trigger `rows` of the pipeline leads to; does nothing without one."""

    def __init__(self, deployment: LocalDeployment, narrator: Narrator) -> None:
        self._deployment, self._narrator = deployment, narrator
        self._every = rows_between(deployment.spec)
        self._watch = TrainingWatch(deployment)
        self._since = self._ended = 0

    def at(self, rows: int) -> None:
        """The labelled log has so many rows: if a training is due, wait until its model answers or was refused."""
        if not self._every or rows - self._since < self._every:
            return
        with self._narrator.waiting(f"a training on {rows:,} labels"):
            run = self._watch.wait_end(self._ended)
            if rolled_out(run):
                self._deployment.wait_reached(self._deployment.wait_live(run.version).epoch)
        self._since, self._ended = rows, self._ended + 1
        self._narrator.line(training_line(run))

    def close(self) -> None:
        """Free the reader."""
        self._watch.close()


def rolled_out(run: Run) -> bool:
    """Whether the policy `gated` lets the model of this training answer."""
    return run.model is not None and run.model.state == "admitted" and run.last.gate == "pass"


def rows_between(spec: PipelineSpec) -> int:
    """After how many rows of the labelled log each training comes; 0 if no trigger counts rows."""
    kinds = {trigger.kind: trigger.model_dump() for trigger in spec.retraining.triggers}
    return int(kinds["rows"]["every"]) if "rows" in kinds else 0


def event_ids(events: Events, spec: PipelineSpec) -> Sequence[str]:
    """The id of each event, as the services write it."""
    return list(map(str, plain(events.columns[spec.event_id])))
