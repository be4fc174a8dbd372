"""`freshet score`: reads predictions and labels off the topics, and prints how right each model version was."""

import time
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType

from freshet.cli.output import PIPELINE, Bootstrap, Exit, Json, Namespace, connect, emit, reporting, say, table
from freshet.operate.facts import ledger_of, published
from freshet.operate.patience import missing_model
from freshet.operate.score.arithmetic import Errors, Scoring
from freshet.operate.score.scored_versions import document, in_order, scored
from freshet.operate.times import range_ms
from freshet.pipeline import PipelineSpec

_LEGEND: Final = (
    "Answered and refused: inputs that became predictions of this version, and dead letters. The rest is of the "
    "answers that have a label. The two columns on the right are answers that need no model, on the same rows: the "
    "same one always, and the label that was newest when the prediction was made. A model that is no better than they "
    "are is worth nothing."
)
_LEGEND_CLASSES: Final = "Right: the share of them that were."
_LEGEND_VALUES: Final = "MAE / RMSE: mean absolute error, and root mean square error."


@reporting
def score(
    pipeline: Annotated[str, typer.Option(help="Whose predictions."), PIPELINE],
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Score predictions that were written since then: 2026-05-01T12:00Z, or 2h."),
    ] = "",
    last: Annotated[str, typer.Option(metavar="LENGTH", help="The same for a length of time until now: 1h.")] = "",
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Compare predictions with labels, by event id, for each model version.

    Reads what the predictions, dead letters and labels topics retain; with a range, its predictions and dead letters,
    and all labels. Beside each version stand how many inputs it refused (dead letters of inference), and two answers
    that need no model: always the commonest class (or the mean), and the newest label that was known then. Exits with
    4 if no prediction has a label.

    It needs no service, and answers once, from what the topics still hold. `freshet quality` shows what `freshet run
    drift` keeps counting as labels come: over time, by slice, with more metrics, and also of what has expired.
    """
    from_ms = range_ms(since, last, time.time_ns() // 1_000_000)
    connection = connect(bootstrap, namespace)
    spec = published(connection, pipeline).spec
    found = scored(connection.bus(pipeline), spec, from_ms)
    emit(document(found, spec), shown(found, spec), as_json=as_json)
    if not found.compared:
        if missing := missing_model(ledger_of(connection.bus(), "rollouts"), pipeline):
            say(missing)
        raise typer.Exit(Exit.CHECK)


def shown(found: Scoring, spec: PipelineSpec) -> RenderableType:
    """A row for each version, and a sentence about what has no counterpart."""
    if spec.target.classes:
        commonest = spec.target.classes[int(found.constant)] if found.labels else "commonest class"
        titles = ("right", f"always {commonest}", "newest label")
        cell, legend = _share, _LEGEND_CLASSES
    else:
        titles = ("MAE / RMSE", "always the mean", "newest label")
        cell, legend = _gap, _LEGEND_VALUES
    rows = table("version", "answered", "refused", "with a label", *titles)
    for version, score in in_order(found):
        cells = map(cell, (score.own, score.constant, score.newest))
        rows.add_row(version, f"{score.answered:,}", f"{score.refused:,}", f"{score.own.rows:,}", *cells)
    sentences = "\n".join([_sentence(found), *_refusals(found, spec)])
    return Group(rows, "", f"{_LEGEND} {legend}", sentences) if found.versions else sentences


def _refusals(found: Scoring, spec: PipelineSpec) -> list[str]:
    refused = sum(score.refused for score in found.versions.values())
    why = f"`freshet dead-letters list --pipeline {spec.pipeline}` says why."
    return [f"{refused:,} inputs have no prediction, since the version refused them: {why}"] if refused else []


def _sentence(found: Scoring) -> str:
    answered = sum(score.answered for score in found.versions.values())
    if not answered:
        return f"Nothing to score: no prediction is there ({found.labels:,} events have a label)."
    if not found.labels:
        return f"Nothing to score: none of {answered:,} predictions has a label. Send labels to the feedback topic."
    return (
        f"{answered - found.compared:,} of {answered:,} predictions have no label; {found.unanswered:,} of "
        f"{found.labels:,} labels are about events without a prediction here."
    )


def _share(errors: Errors) -> str:
    return "–" if errors.mean_absolute is None else f"{1 - errors.mean_absolute:.1%}"


def _gap(errors: Errors) -> str:
    return "–" if errors.mean_absolute is None else f"{errors.mean_absolute:.4g} / {errors.root_mean_square:.4g}"
