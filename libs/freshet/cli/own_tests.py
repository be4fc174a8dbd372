"""`freshet test pipeline`: a user's own tests of a pipeline's folder."""

from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Exit, Json, emit, reporting, say
from freshet.client.pipeline_tests import event_cases
from freshet.client.pipeline_tests.case_files import ModelCase, read_cases
from freshet.client.pipeline_tests.example import example_file, write_example
from freshet.client.pipeline_tests.failures import Failure
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec, load_checked

app = typer.Typer(help="Your own tests: what must become of sample events, and what a model must be worth.")


@app.callback()
def group() -> None:
    """Your own tests: what must become of sample events, and what a model must be worth."""


@app.command()
@reporting
def pipeline(
    folder: Annotated[Path, typer.Argument(help="Holds pipeline.yaml, event.avsc, and tests/*.yaml.")],
    example: Annotated[
        bool, typer.Option("--example", help="Write tests/events.yaml, with made-up events, and test it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the tests of a pipeline's folder, without a broker; exits with 1 if one fails.

    Events go through the code that ingestion runs, models through the one that answers. docs/testing.md has the format.
    """
    spec, text, schema = load_checked(folder)
    if example:
        if write_example(folder, spec, text, schema) is None:
            raise OperateError(
                f"{example_file(folder)} is there already, or no event can be made up: write it by hand.",
                "conflict",
            )
        say(f"wrote {example_file(folder)}")
    tester = event_cases.EventTester(spec, text, schema)
    by_case: list[list[Failure]] = []  # by test and not by name: two tests may have one
    for file, cases in read_cases(folder).items():
        by_case += [list(event_cases.failures(tester, [case], str(file))) for case in cases.events]
        by_case += [_of_model(spec, case, file) for case in cases.models]
    found = [failure for failures in by_case for failure in failures]
    count, failed = len(by_case), sum(map(bool, by_case))
    lines = [f"✗ {failure.case}\n    {failure.what}\n    {failure.advice}" for failure in found]
    lines.append(f"{count - failed} passed, {failed} failed")
    document = {"passed": count - failed, "failed": failed, "failures": [failure._asdict() for failure in found]}
    emit(document, "\n".join(lines), as_json=as_json)
    if found:
        raise typer.Exit(Exit.FAILURE)


def _of_model(spec: PipelineSpec, case: ModelCase, file: Path) -> list[Failure]:
    from freshet.client.pipeline_tests import model_cases  # noqa: PLC0415 (needs pyarrow and onnxruntime)

    return list(model_cases.failures(spec, [case], file))
