"""The topics of a pipeline as data frames of pandas, for notebooks. Needs the extra `notebook`."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

try:
    import pandas as pd
    import pyarrow as pa
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"data frames need {missing.name}, which is not installed: pip install 'freshet[notebook]'.", name=missing.name
    ) from missing

from freshet.client.client import default_bootstrap
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Alarm
from freshet.operate.alarm_log import told
from freshet.operate.connection import connect, settings_for
from freshet.operate.export.topic_export import range_batches
from freshet.operate.export.topic_range import topic_range
from freshet.operate.export.topic_tables import topic_table_of
from freshet.operate.facts import published, read
from freshet.operate.quality.series_quality import Evaluations
from freshet.quality.counts import Counts
from freshet.quality.metrics import metrics

Moment = str | datetime | timedelta
"""Where a range begins or ends: a text as --from and --to of `freshet topic export` take it (`2h`, empty for all there
is), a datetime, or a length of time before now. A datetime without a zone is UTC."""


class Frames:
    """Reads what a pipeline's topics hold now, as a read_committed reader sees it: nothing is there twice.

    Every method reads its range whole into memory, and raises FreshetError with a sentence that says what to do.
    Columns are those of `freshet topic export` (docs/readers.md).
    """

    def __init__(self, pipeline: str, bootstrap: str | None = None, *, namespace: str | None = None) -> None:
        """`bootstrap` and `namespace` as for `Client`. Raises FreshetError if the pipeline is not there."""
        self._pipeline = pipeline
        self._connection = connect(settings_for(bootstrap or default_bootstrap(), namespace=namespace))
        self.spec = published(self._connection, pipeline).spec
        """The pipeline's newest specification, whose features are columns."""

    def features(self, since: Moment = "", until: Moment = "") -> "pd.DataFrame":
        """Feature vectors: a column for each feature, NaN where it has no value."""
        return self._frame("features", since, until)

    def predictions(self, since: Moment = "", until: Moment = "") -> "pd.DataFrame":
        """Answers: label, `score.CLASS` for each class (or `value`), version, epoch, and where they lie."""
        return self._frame("predictions", since, until)

    def labels(self, since: Moment = "", until: Moment = "") -> "pd.DataFrame":
        """Labels as they passed, corrections included."""
        return self._frame("labels", since, until)

    def labelled(self, since: Moment = "", until: Moment = "") -> "pd.DataFrame":
        """The labelled log, which `freshet run drift` makes: answer, truth and features of each label that met its
        prediction.

        Rows with `first` and without `known_before` measure each prediction once.
        """
        return self._frame("outcomes", since, until)

    def dead_letters(self, since: Moment = "", until: Moment = "") -> "pd.DataFrame":
        """What was set aside, and why."""
        return self._frame("dead-letters", since, until)

    def evaluations(self) -> "pd.DataFrame":
        """How good each series was in each range of the labelled log: a row for each, with all metrics.

        `start` and `end` are of the predictions; `series` is `served`, `version:1.0.0`, a slice or a baseline. Metrics
        of classes are NaN for a regression, and the other way round.
        """
        found = Evaluations(self._pipeline)
        found.take(read(self._connection.bus(), "evaluations"))
        return pd.DataFrame([_evaluated(record) for record in found.records])

    def alarms(self) -> "pd.DataFrame":
        """What detectors found, oldest first: `at`, `detector`, `level`, `cause`, `text` and all numbers."""
        alarms = [alarm.model_dump() for alarm in told(self._connection.bus(), self._pipeline)]
        frame = pd.DataFrame(alarms, columns=list(Alarm.model_fields))
        return frame.assign(at=pd.to_datetime(frame.pop("at_ms"), unit="ms", utc=True))

    def _frame(self, role: str, since: Moment, until: Moment) -> "pd.DataFrame":
        bus, now_ms = self._connection.bus(self._pipeline), time.time_ns() // 1_000_000
        wanted = topic_range(bus, role, _text(since, now_ms), _text(until, now_ms), now_ms)
        table = topic_table_of(role, self.spec)
        parts = [table.rows(batch)[0] for batch in range_batches(bus, wanted)]
        return pa.Table.from_batches(parts, table.schema).to_pandas()


def _text(moment: Moment, now_ms: int) -> str:
    """A moment as `topic_range` takes it."""
    if isinstance(moment, timedelta):
        moment = datetime.fromtimestamp(now_ms / 1000, UTC) - moment
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    return moment


def _evaluated(record: Evaluation) -> dict[str, Any]:
    place = {
        "series": record.series,
        "view": record.view,
        "start": pd.Timestamp(record.start_ms, unit="ms", tz="UTC"),
        "end": pd.Timestamp(record.end_ms, unit="ms", tz="UTC"),
        "first_row": record.first_row,
        "end_row": record.end_row,
        "predictions": record.predictions,
    }
    return place | dict(_figures(asdict(metrics(Counts.of(record))), record.classes))


def _figures(found: dict[str, Any], classes: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Metrics by column: an interval is two of them, a metric by class one for each class."""
    for name, value in found.items():
        if not isinstance(value, tuple):
            yield name, value
            continue
        parts = ("low", "high") if name.endswith("_interval") else classes
        yield from ((f"{name}.{part}", one) for part, one in zip(parts, value, strict=False))
