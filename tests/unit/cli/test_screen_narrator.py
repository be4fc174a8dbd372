"""The demo's narrator never looks as if it hung."""

import re
import time

import pytest

from freshet.cli.screen_narrator import ScreenNarrator


def test_a_long_wait_is_told_again_and_again_where_no_spinner_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe or a log there is no spinner: without a line, fifty seconds of work look like a hang."""
    narrator = ScreenNarrator(tell_s=0.05)
    with narrator.waiting("the training"):
        time.sleep(0.5)
    told = capsys.readouterr().out.splitlines()
    assert 2 <= len(told) <= 8  # after 0.05, 0.1, 0.2 and 0.4 s; some more on a slow machine
    assert all(re.search(r"still waiting for the training, \d+ s now$", line) for line in told)
    narrator.line("it goes on")
    assert capsys.readouterr().out.endswith("it goes on\n")


def test_a_short_wait_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Also when it ends with an error, which passes."""
    narrator = ScreenNarrator(tell_s=60)
    with narrator.waiting("labels"):
        pass
    with pytest.raises(ValueError, match="wrong"), narrator.waiting("labels"):
        raise ValueError("wrong")
    assert capsys.readouterr().out == ""
