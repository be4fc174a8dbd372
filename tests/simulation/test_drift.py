"""Drift's services by chance, in small: fixed seeds; `make sim` plays as many others as one likes."""

from collections import Counter

import pytest

from support.simulation.cheap import cheaply
from support.simulation.drift import play_drift

_SEEDS = range(8)
_ACTS = 60


@pytest.mark.slow
def test_whatever_happens_to_drifts_services_verify_finds_no_breach() -> None:
    """Crashes, refusals, rebalances, retention, lost and reset offsets, lost state, two days of labels at once."""
    done = Counter[str]()
    with cheaply():
        for seed in _SEEDS:
            done += play_drift(f"fixed/{seed}", _ACTS)
    assert min(done[what] for what in ("deaths", "two_days", "lose_offsets", "done as told", "lose_state", "publish"))
