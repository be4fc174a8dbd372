"""What `model publish` says has to be done before a version answers."""

import pytest

from freshet.cli.model.publish import waits_for
from support.inference import model


@pytest.mark.parametrize(("policy", "told"), [("gated", True), ("manual", True), ("immediate", False)])
def test_who_publishes_is_told_to_promote_where_the_policy_waits_for_it(policy: str, told: bool) -> None:
    """With the command that does it."""
    admitted = model("1.2.0").model_copy(update={"state": "admitted"})
    said = waits_for(admitted, policy)
    assert ("`freshet model promote 1.2.0 --pipeline fraud`" in said) == told
