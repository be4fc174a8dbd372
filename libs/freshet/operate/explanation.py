"""Why an event got its answer: which model, what it learned from and why then, who approved it, which cut-over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from freshet.contracts.batch import Batch
from freshet.contracts.logic import Fact
from freshet.contracts.messages import ModelVersion
from freshet.ledger.ledger import Ledger
from freshet.operate.model_history import ROLES, Answers, Epoch, model_history
from freshet.operate.operate_error import OperateError
from freshet.operate.records import readable
from freshet.operate.training_runs import TRAINING, Run, runs_of
from freshet.runtime.bus.protocol import Bus, Place
from freshet.runtime.reading import everything

CONTROL_ROLES = (*ROLES, "models", "trainings")
"""What an explanation is read from, beside the prediction."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One prediction, and what stands behind it; what is not retained, or never was, is None."""

    prediction: dict[str, Any]
    """The record: its place, its time, its value."""
    model: ModelVersion | None
    """The version that answered."""
    training: Run | None
    """The training that it came of; None for a model that somebody trained elsewhere."""
    epoch: Epoch | None
    """The epoch under which it answered, with who approved it."""
    cut_over: Answers | None
    """Since which offset its partition was answered alike."""
    resident: tuple[str, ...] = ()
    """Other versions that workers had to keep loaded then."""


def predictions_of(bus: Bus, event_id: str, starts: Mapping[Place, int] | None = None) -> list[dict[str, Any]]:
    """The records of this event, the oldest first; `bus` is one of the pipeline. Raises OperateError if there is none.

    Looks through all that the topic retains, or with `starts` through those partitions, from there on.
    """
    reader, wanted = readable(bus), event_id.encode()
    found = [
        row
        for batch in everything(bus, "predictions", starts)
        for row in reader.rows(mentioning(batch, wanted))
        if isinstance(row["value"], dict) and row["value"].get("event_id") == event_id
    ]
    if not found:
        raise OperateError(
            f"no prediction for the event {event_id!r} is retained. It may have been set aside: `freshet dead-letters "
            "list` shows what was, and why; or its answer has not come yet, or is older than the topic's retention.",
            "usage",
        )
    return sorted(found, key=lambda row: (row["timestamp_ms"], row["partition"], row["offset"]))


def mentioning(batch: Batch, text: bytes) -> Batch:
    """The records of a batch whose value holds these bytes: decoding all of a topic takes minutes."""
    found = [record for record, value in zip(batch.records, batch.values, strict=True) if text in (value or b"")]
    return Batch(batch.role, found)


def explain(prediction: dict[str, Any], facts: Iterable[Fact], pipeline: str) -> Explanation:
    """What the control topics say of one prediction. Pure; `facts` are the records of `CONTROL_ROLES`."""
    facts = list(facts)
    ledger, answer = Ledger(facts).of(pipeline), prediction["value"]
    history = model_history(ledger)
    place = (answer["features_topic"], answer["features_partition"])
    before = [
        cut
        for cut in history.answers
        if (cut.topic_id, cut.partition) == place and cut.first_offset <= answer["features_offset"]
    ]
    model = ledger.versions.records.get(answer["version"])
    training = model.manifest.lineage.get(TRAINING, "") if model is not None else ""
    rollout = ledger.epochs.was_live(answer["epoch"])
    return Explanation(
        prediction,
        model,
        next((run for run in runs_of(facts, pipeline) if training and run.last.training == training), None),
        next((epoch for epoch in history.epochs if epoch.epoch == answer["epoch"]), None),
        before[-1] if before else None,
        tuple(name for name in (rollout.resident if rollout is not None else ()) if name != answer["version"]),
    )
