"""The judge finds every kind of breach by the check that is meant for it, and nothing where nothing is wrong."""

import numpy as np
import pytest

from freshet.cli.verify.evidence import Evidence, Inputs
from freshet.cli.verify.judge import judge
from freshet.contracts.arrays import Bools
from support.breaches import BREACHES
from support.evidence import at, choose, good, ids, row_of, swap


def broken(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """The checks that fail, each with its examples."""
    judgement = judge(evidence)
    assert judgement.ok is not any(finding.breaches for finding in judgement.findings)
    return {finding.check: finding.examples for finding in judgement.findings if not finding.ok}


def keep(inputs: Inputs, rows: Bools) -> None:
    """Let an input topic hold these records only."""
    inputs.ids, inputs.times_ms = inputs.ids[rows], inputs.times_ms[rows]


@pytest.mark.parametrize("name", BREACHES)
def test_a_planted_breach_is_found_and_only_that(name: str) -> None:
    """Exactly the checks that are meant for it fail, and they say where."""
    evidence = good()
    BREACHES[name].plant(evidence)
    assert broken(evidence) == BREACHES[name].found


def test_a_good_pipeline_is_found_good_and_every_check_has_looked_at_something() -> None:
    """No breach, nothing pending; a check that looks at nothing would keep every promise."""
    judgement = judge(good())
    assert judgement.ok
    assert (judgement.answered, judgement.dead, judgement.pending) == (10, 3, 0)
    assert all(finding.looked_at for finding in judgement.findings)


def test_an_empty_pipeline_is_found_good() -> None:
    """Before the first event there is nothing to break."""
    evidence = good()
    for inputs in (evidence.events, evidence.feedback, evidence.features_read):
        inputs.ids, inputs.times_ms, inputs.committed, inputs.metadata = ids(), ids(), {}, {}
    for answers in (evidence.features, evidence.labels, evidence.predictions):
        choose(answers, [])
    evidence.dead, evidence.cutovers, evidence.rollouts = {}, [], []
    assert broken(evidence) == {}


def test_inputs_under_way_are_pending_and_no_breach() -> None:
    """Two events and a vector that their groups have not committed past, one on a partition without any commit."""
    evidence = good()
    for inputs, new in ((evidence.events, ids((0, 6), (2, 0))), (evidence.features_read, ids((1, 4)))):
        inputs.ids, inputs.times_ms = np.append(inputs.ids, new), np.append(inputs.times_ms, new)
    judgement = judge(evidence)
    assert judgement.ok
    assert judgement.pending == 3


def test_answers_ahead_of_the_committed_offsets_are_no_breach() -> None:
    """Offsets are read first, so a running pipeline has answered, and cut over, beyond them."""
    evidence = good()
    evidence.features_read.committed, evidence.features_read.metadata = {0: 4, 1: 3}, {0: "e=1 f=0", 1: "e=2 f=0"}
    assert broken(evidence) == {}


def test_entities_may_overtake_each_other() -> None:
    """Order is promised for each entity, not for a whole partition."""
    evidence = good()
    predictions = evidence.predictions
    one, other = row_of(predictions, 0, 1), row_of(predictions, 0, 2)
    assert predictions.entities[one] != predictions.entities[other]
    swap(predictions, one, other)
    assert broken(evidence) == {}


def test_inputs_that_expired_are_no_breach() -> None:
    """Those below the low end are gone: their answers are not phantoms, and answers gone with them are not lost."""
    evidence = good()
    keep(evidence.events, evidence.events.ids >= at(1, 0))
    evidence.events.lows = {0: 6, 1: 0}
    keep(evidence.features_read, ~np.isin(evidence.features_read.ids, ids((0, 0), (0, 1))))
    evidence.features_read.lows = {0: 2, 1: 0}
    choose(evidence.predictions, [row for row in range(10) if row != row_of(evidence.predictions, 0, 0)])
    assert broken(evidence) == {}


@pytest.mark.parametrize("topic", ["predictions", "dead-letters"])
def test_answers_that_expired_before_their_inputs_are_no_breach(topic: str) -> None:
    """Retention takes whole segments, so answers may go first; what came after the first one left is judged on."""
    evidence = good()
    old, new = row_of(evidence.predictions, 0, 1), row_of(evidence.predictions, 1, 2)
    choose(evidence.predictions, [row for row in range(10) if row not in {old, new}])
    evidence.kept_since_ms = {topic: 1000}  # vector 0/1 came at that moment, 1/2 later
    assert broken(evidence) == {"no feature vector is lost": ("1/2",)}
