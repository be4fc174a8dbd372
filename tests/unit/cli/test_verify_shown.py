"""What `freshet verify` prints for a person."""

from io import StringIO

from rich.console import Console

from freshet.cli.verify import shown
from freshet.operate.verify.findings import Finding, Judgement


def test_the_table_of_checks_has_a_legend() -> None:
    """Of its marks, and of all its columns but the check itself."""
    kept = Finding("P1", "no event is lost", 7, 0)
    judged = Judgement(findings=(kept,), answered=7, dead=0, pending=0, inputs={"events": 7}, judged=7)
    file = StringIO()
    Console(width=200, file=file).print(shown(judged))
    text = file.getvalue()
    for sign in ("✓ kept", "✗ broken", "– there", "Looked at:", "Breaches:", "Examples:"):
        assert sign in text
