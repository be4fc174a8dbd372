"""What a benchmark's table may say: figures of the same round are compared, and what did not run has no figure."""

import json
from pathlib import Path

import pytest

from bench.rounds import EXACTLY_ONCE, NotRunError, Variant, compare


def variant(name: str, *cpu_us: float | str) -> Variant:
    """Gives these figures in turn; a text is the reason for giving none."""
    left = list(cpu_us)

    def measure() -> float:
        figure = left.pop(0)
        if isinstance(figure, str):
            raise NotRunError(figure)
        return figure

    return Variant(name, EXACTLY_ONCE, 1000, measure)


def test_a_ratio_is_the_median_of_the_ratios_of_each_round(tmp_path: Path) -> None:
    """The machine was twice as slow in the second round; the ratio of the medians would be 2 / 5."""
    file = tmp_path / "bench.json"
    assert compare("title", [variant("nothing", 2.0, 4.0, 2.0), variant("service", 2.5, 5.0, 8.0)], 3, file)
    nothing, service = json.loads(file.read_text())["variants"]
    assert nothing["of_do_nothing"] == 1.0
    assert service["of_do_nothing"] == pytest.approx(0.8)
    assert service["cpu_us"] == [2.5, 5.0, 8.0]


def test_what_did_not_run_has_a_reason_and_no_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also if it ran in an earlier round: then its figure is one of a variant that loses answers."""
    file = tmp_path / "bench.json"
    variants = [variant("nothing", 2.0, 2.0), variant("peer", 40.0, "answered 9 of 10"), variant("other", 4.0, 4.0)]
    assert not compare("title", variants, 2, file)
    table = capsys.readouterr().out.split("title")[1]
    assert "not run: answered 9 of 10" in table
    assert "40.00" not in table
    _, peer, other = json.loads(file.read_text())["variants"]
    assert peer["not_run"] == "answered 9 of 10"
    assert "cpu_us" not in peer
    assert other["of_do_nothing"] == 0.5


def test_without_the_first_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    """The others keep their figures."""
    file = tmp_path / "bench.json"
    assert not compare("title", [variant("nothing", "no broker"), variant("service", 2.5)], 1, file)
    assert json.loads(file.read_text())["variants"][1]["cpu_us"] == [2.5]
