"""What came of it: how right each version was, and one record of each kind of answer, decoded."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.messages import Alarm
from freshet.lab.demo.alarms_again import AlarmsAgain, alarms_again, show_alarms_again
from freshet.lab.demo.drift_watch import DriftWatch, show_alarms, show_quality
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.training_watch import show_trainings
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.quality.chart import lines
from freshet.operate.quality.series_quality import Quality
from freshet.operate.quality.series_quality import document as quality_document
from freshet.operate.records import Readable, readable
from freshet.operate.redrive import Wanted, dead_records
from freshet.operate.score.arithmetic import Scoring
from freshet.operate.score.scored_versions import document, scored
from freshet.operate.training_runs import Run, trainings
from freshet.operate.verify.findings import Judgement
from freshet.operate.verify.judgement import as_document
from freshet.operate.verify.judging import judged
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

_TAIL = 20  # the last offsets of a partition may be transaction markers
_CHART_COLUMNS = 60
_LETTERS = 100  # of the first so many one is shown that can be decoded


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What commands find at the end of a story."""

    judgement: Judgement
    quality: Quality
    alarms: Sequence[Alarm]
    again: AlarmsAgain
    scores: Scoring
    evaluations: Sequence[Evaluation] = ()
    trainings: Sequence[Run] = ()


def as_result(deployment: LocalDeployment, bootstrap_servers: str, found: Found) -> dict[str, Any]:
    """The run for `--json`: where to look, and what `verify`, `quality`, `alarms`, `trainings` and `score` print."""
    return {
        "pipeline": deployment.spec.pipeline,
        "bootstrap_servers": bootstrap_servers,
        "namespace": deployment.names.namespace,
        "verify": as_document(found.judgement),
        "quality": quality_document(found.quality),
        "alarms": [alarm.model_dump() for alarm in found.alarms],
        "alarms_replayed": found.again.document(),
        "trainings": [run.last.model_dump() | {"version": run.version} for run in found.trainings],
        "score": document(found.scores, deployment.spec),
    }


def look_back(narrator: Narrator, deployment: LocalDeployment) -> Found:
    """Judge the topics, whose records are all taken in, and show what is on them."""
    with narrator.waiting("the judgement of all topics"):
        judgement = judged(deployment.bus, deployment.admin, deployment.names)
    narrator.judgement(judgement)
    narrator.chapter("How good each version was, and what changed: freshet quality, freshet alarms")
    watch = DriftWatch(deployment)
    watch.take()
    quality, alarms = watch.quality(), watch.alarms
    watch.close()
    show_quality(narrator, quality)
    for line in lines(quality, _CHART_COLUMNS):
        narrator.text(f"  {line}")
    show_alarms(narrator, alarms)
    narrator.chapter("The same alarms by the logs alone, and others under other thresholds: freshet alarms replay")
    spec = deployment.spec
    again = alarms_again(deployment.bus, spec.pipeline, (*spec.detectors, *spec.profile.detectors))
    show_alarms_again(narrator, again)
    runs = trainings(deployment.bus, spec.pipeline)
    if spec.retraining.triggers:
        narrator.chapter("What led to trainings, what they cost and what came of them: freshet trainings")
        show_trainings(narrator, runs)
    found = Found(judgement, quality, alarms, again, scored(deployment.bus, spec), watch.evaluations, runs)
    narrator.chapter("The same by the predictions and labels themselves: freshet score")
    narrator.scores(found.scores, spec)
    show_examples(narrator, deployment)
    return found


def show_examples(narrator: Narrator, deployment: LocalDeployment) -> None:
    """Print the newest prediction and one dead letter."""
    narrator.chapter("One prediction and one dead letter, as consumers see them")
    known = readable(deployment.bus)
    for line in (*_prediction(deployment.bus, known), *_dead_letter(deployment.bus, known)):
        narrator.text(f"  {line}")


def _prediction(bus: Bus, known: Readable) -> list[str]:
    tails = {
        Place("predictions", number): max(span.low, span.end - _TAIL)
        for number, span in bus.spans("predictions").items()
    }
    rows = [row for batch in everything(bus, "predictions", tails) for row in known.rows(batch)]
    if not rows:
        return ["there is no prediction."]
    newest = max(rows, key=lambda row: row["timestamp_ms"])
    return [f"prediction {newest['partition']}/{newest['offset']}: {_json(newest['value'])}"]


def _dead_letter(bus: Bus, known: Readable) -> list[str]:
    letters = [
        (letter, known.values(letter.role or "events", [letter.value])[0])
        for letter in islice(dead_records(bus, Wanted()), _LETTERS)
    ]
    if not letters:
        return ["there is no dead letter: every event was answered with a prediction."]
    letter, value = next((one for one in letters if "undecodable" not in (one[1] or {})), letters[0])
    return [
        f"dead letter {letter.partition}/{letter.offset}: {letter.reason}: {letter.detail}",
        f"what the producer sent: {_json(value)}",
    ]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
