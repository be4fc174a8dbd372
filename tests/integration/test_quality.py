"""What `freshet quality` shows of a stream on a real Kafka, counted once more by hand."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, Final

import numpy as np
import pytest
from typer.testing import CliRunner

from freshet.avro.control import decode
from freshet.cli.main import app
from freshet.contracts.messages import Outcomes
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.records import readable
from freshet.operate.tables.features import feature_rows
from freshet.runtime.reading import everything

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

ROWS: Final = 2000
EVERY_ROWS: Final = 250
CLASSES: Final = ("approved", "declined")


@dataclass(frozen=True)
class Answered:
    """A prediction and its label, as their topics have them."""

    answer: str
    scores: Sequence[float]
    version: str
    predicted_ms: int
    label: str
    labelled_ms: int


@pytest.fixture
def stage(stage: LocalDeployment) -> LocalDeployment:
    """The loans pipeline and all its services."""
    stage.start()
    return stage


def labelled(stage: LocalDeployment) -> list[Answered]:
    """What was answered and what was true, in the order of the labelled log: of the log that order alone is taken."""
    known = readable(stage.bus)

    def rows(role: str) -> Iterator[dict[str, Any]]:
        for batch in everything(stage.bus, role):
            yield from known.rows(batch)

    labels = {row["value"]["event_id"]: (row["value"]["label"], row["timestamp_ms"]) for row in rows("labels")}
    found = {}
    for row in rows("predictions"):
        told = row["value"]
        answer = (told["label"], told["scores"], told["version"], row["timestamp_ms"])
        found[row["partition"], row["offset"]] = Answered(*answer, *labels[told["event_id"]])
    order: list[tuple[int, int]] = []
    for batch in everything(stage.bus, "outcomes"):
        for value in batch.values:
            record = decode("outcomes", value or b"")
            assert isinstance(record, Outcomes)
            order += [(record.partition, at) for at in np.frombuffer(record.prediction_offset, "<i8").tolist()]
    assert sorted(order) == sorted(found)
    return [found[place] for place in order]


def guesses(log: Sequence[Answered]) -> Iterator[tuple[str | None, str | None]]:
    """What the last label known says of each row, and the commonest one: none, as long as no label was known."""
    known_ms = list(accumulate((one.labelled_ms for one in log), max))
    commonest, counts = list[str](), Counter[str]()
    for one in log:
        counts[one.label] += 1
        commonest.append(max(CLASSES, key=lambda name: counts[name]))
    for row, one in enumerate(log):
        known = min(bisect_left(known_ms, one.predicted_ms), row)
        yield (log[known - 1].label, commonest[known - 1]) if known else (None, None)


def by_series(log: Sequence[Answered]) -> dict[str, list[tuple[str, str, float | None]]]:
    """Label, answer, and the score of the label, of the rows of each series that evaluations tell of."""
    series: dict[str, list[tuple[str, str, float | None]]] = {}
    for one, (last, commonest) in zip(log, guesses(log), strict=True):
        if one.labelled_ms <= one.predicted_ms:
            continue  # it was known already
        score = one.scores[CLASSES.index(one.label)]
        for name in ("served", f"version:{one.version}"):
            series.setdefault(name, []).append((one.label, one.answer, score))
        for name, guess in (("baseline:no_change", last), ("baseline:majority", commonest)):
            if guess is not None:
                series.setdefault(name, []).append((one.label, guess, None))
    whole = {name: rows[: len(rows) // EVERY_ROWS * EVERY_ROWS] for name, rows in series.items()}
    return {name: rows for name, rows in whole.items() if rows}


def test_quality_is_what_predictions_and_labels_give_when_counted_by_hand(
    stage: LocalDeployment, kafka: str, namespace: str
) -> None:
    """Two versions under load and late labels: each series has exactly the counts of a plain loop over the topics."""
    values, truths = feature_rows(stage.spec, stage.schema, loans.sample(stage.schema, 600, seed=1))
    batches = iter(loans.Applications(stage.schema, seed=2))
    load = stage.load(rate=1500.0, labels_after=500)
    for kind in ("linear", "trees"):
        trained = train_and_pack(kind, values, truths, stage.spec)
        stage.wait_live(stage.offer(trained.bundle.data, trained.bundle.manifest).version)
        for _ in load.publish(islice(batches, ROWS // 200)):
            pass
        stage.wait_drained()
    stage.wait_evaluated()

    expected = by_series(labelled(stage))
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FRESHET_NAMESPACE": namespace}
    told = CliRunner().invoke(app, ["quality", "--pipeline", "loans", "--json"], env=environment)
    assert told.exit_code == 0, told.output
    found = {one["series"]: one for one in json.loads(told.stdout)["series"]}
    assert (
        set(found)
        == set(expected)
        == {*("served", "version:1.0.0", "version:1.0.1", "baseline:no_change", "baseline:majority")}
    )
    for name, rows in expected.items():
        cells = Counter((label, answer) for label, answer, _ in rows)
        assert found[name]["confusion"] == [[cells[truth, answer] for answer in CLASSES] for truth in CLASSES], name
        assert found[name]["accuracy"] == sum(label == answer for label, answer, _ in rows) / len(rows), name
        scores = [score for _, _, score in rows if score is not None]
        loss = float(-np.log(scores).mean()) if scores else None
        assert found[name]["log_loss"] == (None if loss is None else pytest.approx(loss, rel=1e-12)), name
