"""What every logic with state promises, whatever happens to it. A class joins by being listed in KINDS.

Its state is a function of what its inputs held: rows may come in any order of inputs and in any batches, commits may be
refused or their acknowledgement be lost, workers die at any call, partitions move, and what was kept may be lost. Then
every row is answered once, with the count that one uncrashed worker would give, and the state has the same bytes.
`make sim` plays further seeds.
"""

import pytest

from support.simulation.stateful import counter_play, play_state
from support.stateful import KINDS, Counter, Slabbed


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("kind", KINDS)
def test_state_follows_from_the_inputs_alone(kind: type[Counter], seed: int) -> None:
    """After everything that may happen, and again after more of it."""
    play_state(kind, seed, acts=80)


def test_chance_does_happen() -> None:
    """The runs above are no walk in the park: workers die in most of them, and what was kept is lost in many."""
    plays = [counter_play(Slabbed, seed) for seed in range(25)]
    for play in plays:
        for _ in range(80):
            play.act()
    assert sum(play.crashes > 0 for play in plays) > 12
    assert sum(play.lost for play in plays) > 12
