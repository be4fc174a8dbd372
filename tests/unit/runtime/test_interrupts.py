"""Ctrl-C while something is done that must be counted."""

import os
import signal

import pytest

from freshet.runtime.interrupts import interrupts_held


def press() -> None:
    """Ctrl-C, seen at once."""
    os.kill(os.getpid(), signal.SIGINT)


def pressed_inside(done: list[str], *, nested: bool) -> None:
    """Press Ctrl-C in a block and go on, noting what is still done."""
    with interrupts_held() as held:
        assert not held.asked
        if nested:
            pressed_inside_again(done)
        else:
            press()
            assert held.asked
        done.append("the rest of the block")


def pressed_inside_again(done: list[str]) -> None:
    """The same in a block within a block."""
    with interrupts_held():
        press()
        done.append("the rest of the inner block")


def test_ctrl_c_comes_when_the_block_has_ended() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        pressed_inside(done, nested=False)
    assert done == ["the rest of the block"]


def test_blocks_nest_and_the_outermost_lets_it_through() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        pressed_inside(done, nested=True)
    assert done == ["the rest of the inner block", "the rest of the block"]


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts_held():
        pass
    assert signal.getsignal(signal.SIGINT) is before
