"""`freshet predict`: one row through the topics, and what became of it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from freshet.cli.output import PIPELINE, Bootstrap, Exit, Json, Namespace, connect, emit, reporting, say
from freshet.client import Answer, Client, RowError
from freshet.operate.operate_error import OperateError
from freshet.operate.records import finite

_ONE_OBJECT: Final = (
    "`freshet predict` takes one JSON object, the fields of one event; `freshet replay` sends the rows of a table."
)


@reporting
def predict(
    row: Annotated[str, typer.Argument(metavar="ROW.json", help="An object with the event's fields; - for stdin.")],
    pipeline: Annotated[str, typer.Option(help="Who is to answer."), PIPELINE],
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the answer.")] = 10.0,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Send one event under a fresh id, and print its features, the answer, the version, and where each record lies.

    It is an event like any other, and stays on the topics. The event time is now, unless the row has one. Exits with 4
    if the event becomes a dead letter, with 1 if nobody answers in time, with 2 if the row is no event.
    """
    values = _row(row)
    connection = connect(bootstrap, namespace)
    with Client(connection.bootstrap_servers, namespace=namespace) as client:
        try:
            answer = client.predict(
                pipeline, values, timeout_s=timeout, on_slow=lambda why: say(f"still waiting: {why}")
            )
        except RowError as error:
            raise OperateError(f"{'stdin' if row == '-' else row}: {error}", "usage") from error
        classes = client.classes(pipeline)
    emit(_document(answer, classes), _shown(answer, classes), as_json=as_json)
    if answer.letter is not None:
        raise typer.Exit(Exit.CHECK)


def _row(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        values = json.loads(text)
    except FileNotFoundError as error:
        raise OperateError(f"there is no file {name}.", "usage") from error
    except (OSError, ValueError, RecursionError) as error:
        where = "stdin" if name == "-" else name
        raise OperateError(f"{where} cannot be read as JSON: {error}. {_ONE_OBJECT}", "usage") from error
    if not isinstance(values, dict):
        raise OperateError(f"{name} holds no JSON object. {_ONE_OBJECT}", "usage")
    return values


def _scores(answer: Answer, classes: tuple[str, ...]) -> dict[str, float]:
    return dict(zip(classes or ("value",), answer.scores, strict=False))


def _document(answer: Answer, classes: tuple[str, ...]) -> Any:
    places = {"event": answer.event, "features": answer.features_at, "prediction": answer.prediction_at}
    letter = answer.letter
    return finite(
        {
            "event_id": answer.event_id,
            "entity": answer.entity,
            "features": answer.features,
            "label": answer.label,
            "scores": _scores(answer, classes),
            "version": answer.version,
            "epoch": answer.epoch,
            "fallback": answer.fallback,
            "positions": {name: {"partition": at[0], "offset": at[1]} for name, at in places.items() if at is not None},
            "dead_letter": None
            if letter is None
            else {
                "reason": letter.reason,
                "detail": letter.detail,
                "service": letter.service,
                "partition": letter.position[0],
                "offset": letter.position[1],
            },
        }
    )


def _shown(answer: Answer, classes: tuple[str, ...]) -> str:
    def line(what: str, text: str, at: tuple[int, int] | None) -> str:
        return f"{what:<12}{text}" + (f"   [partition {at[0]}, offset {at[1]}]" if at else "")

    features = ", ".join(f"{name}: {value:.6g}" for name, value in answer.features.items()) or "none"
    lines = [line("event", f"{answer.event_id} of {answer.entity}", answer.event)]
    lines.append(line("features", features, answer.features_at))
    if answer.letter is not None:
        why = f"{answer.letter.reason}: {answer.letter.detail} (said {answer.letter.service})"
        return "\n".join([*lines, line("dead letter", why, answer.letter.position)])
    scores = ", ".join(f"{name} {score:.4g}" for name, score in _scores(answer, classes).items())
    shown = f"{answer.label} ({scores})" if classes else f"{answer.scores[0]:.6g}"
    lines.append(line("answer", shown, answer.prediction_at))
    understudy = ", the understudy" if answer.fallback else ""
    return "\n".join([*lines, line("version", f"{answer.version}{understudy}, epoch {answer.epoch}", None)])
