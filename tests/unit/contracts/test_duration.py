"""Lengths of time as people write them."""

import pytest

from freshet.contracts.duration import Duration


@pytest.mark.parametrize(("text", "ms"), [("250ms", 250), ("90s", 90_000), ("10m", 600_000), ("7d", 604_800_000)])
def test_duration_survives_writing(text: str, ms: int) -> None:
    """What is read is what is written back."""
    assert Duration.parse(text).ms == ms
    assert Duration.parse(str(Duration.parse(text))) == Duration.parse(text)


def test_zero_duration_can_be_written() -> None:
    """0ms is a duration like others."""
    assert Duration.parse(str(Duration(0))) == Duration(0)


@pytest.mark.parametrize("text", ["", "5", "1.5s", "-1s", "90 s", "1w", "4000d", 7, None])
def test_anything_else_is_refused(text: object) -> None:
    """A whole number with a unit, of ten years at most."""
    with pytest.raises(ValueError, match=r"is not a duration|longer than ten years"):
        Duration.parse(text)
