"""How soon a page tells of a service that was killed: the sum of all waits, and pages at every phase of a beat."""

import pytest

from freshet.console.change_stream import LOOK_S
from freshet.console.core.alive import SILENT_AFTER, next_silence_ms
from freshet.console.core.pace import BUILD_S, Pace
from freshet.ledger.workers import MISSED_BEATS
from freshet.runtime.beats import INTERVAL_MS
from support.console import NOW_MS, ConsoleWorld, flowing_world

TOLD_WITHIN_MS = 5_000
MAKING_MS = 400
"""What is left for reading a beat, making pages of it, and bringing them to the browser."""
TICK_MS = 50


def test_the_waits_before_a_page_tells_of_a_killed_service_add_up_to_less_than_five_seconds() -> None:
    """Its last beat may have come just before it was killed; then one beat has to be missed, and the page looks."""
    silent_ms = SILENT_AFTER * INTERVAL_MS
    assert silent_ms + LOOK_S * 1000 + MAKING_MS < TOLD_WITHIN_MS
    assert silent_ms > INTERVAL_MS + 1000, "a busy service may beat a second late before it is called silent"
    assert MISSED_BEATS == 3, "and six seconds more before it is called dead"


def first_told_ms(world: ConsoleWorld, made_ms: int) -> int:
    """How long after the last beat a snapshot says `silent`, when one was made `made_ms` after that beat."""
    pace = Pace()
    for after_ms in range(made_ms, 2 * TOLD_WITHIN_MS, TICK_MS):
        world.now_ms = NOW_MS + after_ms
        now_s = after_ms / 1000
        if not pace.is_due(now_s, world.now_ms):
            continue
        if any(worker.state == "silent" for worker in world.screen().answerers.workers):
            return after_ms
        pace.made(now_s, now_s, next_silence_ms(world.folded.ledger, world.now_ms))
    return 2 * TOLD_WITHIN_MS


@pytest.mark.parametrize("made_ms", range(0, round(BUILD_S * 1000), 100))
def test_a_snapshot_is_made_as_soon_as_a_worker_falls_silent(made_ms: int) -> None:
    """Whenever the snapshots before it were made."""
    assert first_told_ms(flowing_world(), made_ms) <= SILENT_AFTER * INTERVAL_MS + 2 * TICK_MS


def test_a_snapshot_that_takes_long_is_followed_by_a_long_pause_unless_somebody_falls_silent() -> None:
    """Pages are at most a quarter of the work; a silence is told once without waiting, then the pause holds."""
    pace = Pace()
    assert pace.is_due(0.0, 0)
    pace.made(0.0, 1.0, silence_ms=3_000)
    assert [pace.is_due(now_s, round(now_s * 1000)) for now_s in (2.9, 3.0)] == [False, True]
    assert [pace.wait_s(now_ms, 0.2) for now_ms in (1_000, 2_900, 3_500)] == [0.2, pytest.approx(0.1), 0.0]
    pace.made(3.0, 4.0, silence_ms=None)
    assert [pace.is_due(now_s, round(now_s * 1000)) for now_s in (6.9, 7.0)] == [False, True]
    assert pace.wait_s(5_000, 0.2) == 0.2


def test_the_next_silence_is_that_of_the_oldest_beat_of_those_that_are_not_silent() -> None:
    """Workers that have left, or are silent already, are not waited for."""
    world = ConsoleWorld()
    world.apply()
    world.beat("ingestion", age_ms=3_900)
    world.beat("inference", age_ms=1_000)
    world.beat("inference", "1", age_ms=2_000, leaving=True)
    world.beat("drift-join", age_ms=60_000)
    assert next_silence_ms(world.folded.ledger, NOW_MS) == NOW_MS + 301
    assert next_silence_ms(world.folded.ledger, NOW_MS + 301) == NOW_MS + 3_201
    assert next_silence_ms(world.folded.ledger, NOW_MS + 10_000) is None
