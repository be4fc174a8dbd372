"""`freshet predict` given something else than one event."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from freshet.cli.predict import predict


@pytest.mark.parametrize("text", ["amount,country\n1,DE\n", '[{"amount": 1}]'])
def test_what_is_no_single_event_is_told_what_is_taken(tmp_path: Path, text: str) -> None:
    """A table goes to another command, which is named; nothing is asked of a Kafka before."""
    path = tmp_path / "one.csv"
    path.write_text(text)
    app = typer.Typer()
    app.command()(predict)
    found = CliRunner().invoke(app, [str(path), "--pipeline", "loans"])
    assert found.exit_code == 2
    assert "takes one JSON object, the fields of one event; `freshet replay` sends the rows of a table" in found.stderr
