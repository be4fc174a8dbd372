"""`freshet explain`: why an event got its answer."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType

from freshet.cli.model.history import approval_words
from freshet.cli.output import PIPELINE, Bootstrap, Json, Namespace, connect, emit, reporting, table
from freshet.operate.answer_parts import AnswerParts, answer_parts
from freshet.operate.explanation import CONTROL_ROLES, Explanation, explain, predictions_of
from freshet.operate.facts import published, read
from freshet.operate.records import finite
from freshet.operate.times import clock_time


@reporting
def explain_command(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The producer's id of the event.")],
    pipeline: Annotated[str, typer.Option(help="Whose event."), PIPELINE],
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Print what answered an event, what each feature contributed, what the model learned from, who approved it.

    Contributions are told of models that add up: linear ones and sums of trees. Looks through all predictions that are
    retained. An event that was published twice has two answers.
    """
    connection = connect(bootstrap, namespace)
    names = published(connection, pipeline).spec.feature_names  # a misspelt name would have no predictions
    bus = connection.bus(pipeline)
    found, facts = predictions_of(bus, event_id), read(bus, *CONTROL_ROLES)
    explained = [explain(row, facts, pipeline) for row in found]
    parts = [answer_parts(bus, one.prediction, one.model, names) for one in explained]
    told = list(zip(explained, parts, strict=True))
    shown = [part for one, of_it in told for part in (_shown(one), "", parts_shown(of_it, one.prediction["value"]), "")]
    emit([_document(*each) for each in told], Group(*shown[:-1]), as_json=as_json)


def _document(one: Explanation, parts: AnswerParts) -> dict[str, Any]:
    model = one.model and {
        "version": one.model.version,
        "state": one.model.state,
        "digest": one.model.manifest.digest,
        "lineage": one.model.manifest.lineage,
    }
    return {
        "prediction": one.prediction,
        "model": model,
        "training": one.training and one.training.last.model_dump(mode="json"),
        "epoch": one.epoch and asdict(one.epoch),
        "cut_over": one.cut_over and asdict(one.cut_over),
        "resident": list(one.resident),
        "features": finite(parts.values),
        "contributions": parts.contributions and {**asdict(parts.contributions), "total": parts.contributions.total},
        "no_contributions": parts.why_not,
    }


def parts_shown(parts: AnswerParts, answer: dict[str, Any]) -> RenderableType:
    """The features, those that contributed most first."""
    told = parts.contributions
    if told is None:
        return f"what each feature contributed cannot be told: {parts.why_not}"
    shown = table("feature", "value", "contributed")
    for name in sorted(told.features, key=lambda name: -abs(told.features[name])):
        shown.add_row(name, f"{parts.values[name]:.6g}", f"{told.features[name]:+.4g}")
    shown.add_row("baseline", "", f"{told.baseline:+.4g}")
    shown.add_row("together", "", f"{told.total:+.4g}")
    what = f"{told.scale} of {answer['label']}" if answer["label"] and "value" not in told.scale else told.scale
    return Group(shown, f"the {what}, as a sum; each contribution: {told.method}")


def _shown(one: Explanation) -> RenderableType:
    answer, shown = one.prediction["value"], table("", "")
    said = answer["label"] or ", ".join(f"{score:g}" for score in answer["scores"])
    shown.add_row("event", f"{answer['event_id']} of {answer['entity']}")
    shown.add_row("answer", f"{said}, at {clock_time(one.prediction['timestamp_ms'])}")
    shown.add_row("by", f"version {answer['version']}" + (", as understudy" if answer["fallback"] else ""))
    if one.model is not None:
        shown.add_row("model", f"{one.model.manifest.digest}, {one.model.manifest.trainer}; {one.model.state} now")
    for name, value in _training_lines(one):
        shown.add_row(name, value)
    if one.epoch is not None:
        live = clock_time(one.epoch.live_ms)
        shown.add_row(
            "approved by", f"{approval_words(one.epoch.approval)}; epoch {one.epoch.epoch}, live since {live}"
        )
    if one.cut_over is not None:
        since = f"offset {one.cut_over.first_offset:,} of partition {one.cut_over.partition}"
        shown.add_row("cut over", f"at {since}, {clock_time(one.cut_over.since_ms)}")
    shown.add_row("loaded beside it", ", ".join(one.resident) or "nothing")
    return shown


def _training_lines(one: Explanation) -> list[tuple[str, str]]:
    if one.training is None:
        return [("trained", "elsewhere, or so long ago that no record of it is retained")]
    run = one.training.last
    return [
        ("trained", f"{run.training}, {clock_time(one.training.began_ms)}, by {run.trainer}"),
        ("because of", f"{run.trigger} {run.trigger_id}" + (f", asked by {run.by}" if run.by else "")),
        ("learned from", f"rows {run.from_row:,} to {run.cut_row:,} of the labelled log, data {run.data_digest}"),
        ("gate", "; ".join(run.clauses) or run.gate),
    ]
