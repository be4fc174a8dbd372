"""The tables of docs/scale.md are made anew between their marks, and say how far off the model was."""

from pathlib import Path

from bench.scale_model import BROKER, INFERENCE, INGESTION, Load, Point
from bench.scale_tables import BEGIN, END, Measured, written

COSTS = {
    BROKER: [0.02, 1e-4, 2e-6, 2e-4, 2e-3, 3e-4],
    INGESTION: [0.01, 1e-5, 3e-6, 0.0, 1e-3, 1e-4],
    INFERENCE: [0.01, 1e-5, 4e-6, 0.0, 1e-3, 1e-4],
}
PAGE = f"before\n{BEGIN}\nearlier tables\n{END}\nafter\n"


def made() -> str:
    """A page of one point that was fitted and one that was checked."""
    fit = Measured(Point(Load(4, 500, serving=False), {BROKER: 0.2}), 0.0, 0.5)
    check = Measured(Point(Load(8, 0), {BROKER: 0.0416, INGESTION: 0.01, INFERENCE: 0.02}), 0.0, 0.7)
    behind = Measured(Point(Load(16, 5000), {BROKER: 1.1}), 9.0, 0.5, full=True)
    return written(PAGE, COSTS, [fit], [check, behind], copies=(Load(4, 200), 2.5), machine="a machine")


def test_only_what_lies_between_the_marks_is_written() -> None:
    """As often as the command runs."""
    page = made()
    assert page.startswith(f"before\n{BEGIN}\n")
    assert page.endswith(f"{END}\nafter\n")
    assert "earlier tables" not in page


def test_each_point_shows_prediction_measurement_and_error() -> None:
    """What was not running has no figure."""
    page = made()
    assert "| fitted, producer alone | 4 | 500 | " in page
    assert "| – | – | – |" in page
    assert "| **checked** | 8 | 0 | 0.021 / 0.042 (-50%) | 0.010 / 0.010 (+1%) | 0.010 / 0.020 (-50%) | – |" in page
    assert "| **checked**, the machine was full | 16 | 5,000 | " in page
    assert "2.5 times one copy, as was measured at 4 partitions and 200 events/s" in page
    assert "other programs took at most 0.7 cores" in page


def test_the_projections_go_to_a_thousand_partitions_and_brokers() -> None:
    """One line for each size."""
    page = made()
    for table in page.split("\n### ")[3:]:
        assert [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| 1")] == [
            *("1", "10", "100", "1,000")
        ]


def test_the_page_has_the_marks() -> None:
    """Else the command would write its tables nowhere."""
    text = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    assert text.index(BEGIN) < text.index(END)
