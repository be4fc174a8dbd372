"""Numbers as the page writes them."""

import math

import pytest

from freshet.console.core.number_words import (
    added_words,
    figure_words,
    percent_words,
    rate_words,
    second_words,
    share_words,
    span_words,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0.44, "0.4 s"), (38, "38 s"), (2520, "42 min"), (20_520, "5 h 42"), (525_600, "6 d 02")],
)
def test_lengths_of_time(seconds: float | None, words: str) -> None:
    """Two digits that count, and a dash for what is not known."""
    assert span_words(seconds) == words


def test_rates_shares_and_figures() -> None:
    """What is not known is never 0."""
    assert [rate_words(one) for one in (None, 2.56, 9870.2)] == ["–", "2.6 /s", "9,870 /s"]
    assert [share_words(one) for one in (None, math.nan, 0.8583, 1.0)] == ["–", "–", ".858", "1.000"]
    assert [percent_words(one) for one in (None, 0.956)] == ["–", "96 %"]
    assert figure_words(-1234.5, classes=False) == "−1.23e+03"
    assert [added_words(one) for one in (0.118, -1.3321, -0.0)] == ["+0.118", "−1.332", "0"]


def test_a_moment_of_another_day_has_its_date() -> None:
    """Also one that no calendar reaches."""
    assert second_words(0, 1000) == "00:00:00"
    assert second_words(0, 10**12).startswith("1970-01-01")
    assert second_words(10**18, 0).startswith("9999-12-31")
