"""What the doctor says of a pipeline that demands signatures: whether a worker that starts would answer."""

from collections.abc import Sequence

import pytest

from freshet.contracts.logic import Fact
from freshet.contracts.messages import ModelVersion, Rollout
from freshet.operate.finding import Line
from freshet.operate.signed_answers import demanding as that_demand
from freshet.operate.signed_answers import signature_lines
from freshet.pipeline import PipelineSpec
from freshet.trust.trusted_keys import TrustedKeys
from support.inference import PIPELINE, model, rollout, specification
from support.signed import KeyRing, demanding, signed_epoch, signed_version

RECORD = demanding(specification())


def lines(keys: TrustedKeys | None, *messages: ModelVersion | Rollout) -> Sequence[Line]:
    """What is said of a pipeline whose topics hold this."""
    facts = [
        Fact("models" if isinstance(message, ModelVersion) else "rollouts", PIPELINE, message, at, at)
        for at, message in enumerate(messages)
    ]
    return list(signature_lines(RECORD, facts, keys))


def told(keys: TrustedKeys | None, *messages: ModelVersion | Rollout) -> list[tuple[str, str]]:
    """Health and the code, or the beginning, of each line."""
    return [(line.health, line.seen) for line in lines(keys, *messages)]


def test_what_is_signed_is_well() -> None:
    """With the trust file; without one it says what was not judged."""
    ring = KeyRing()
    made = signed_version(model("1.0.0"), ring.builder)
    live = signed_epoch(rollout(1, "1.0.0"), ring.release, made)
    assert told(ring.now, made, live) == [("ok", "epoch 1 and 1.0.0, which answers, are signed")]
    ((health, seen),) = told(None, made, live)
    assert health == "ok"
    assert "no trust file was given" in seen


def test_a_pipeline_without_a_model_has_nothing_to_be_judged() -> None:
    """Another line tells that none answers."""
    assert told(KeyRing().now, model("1.0.0")) == []


@pytest.mark.parametrize("with_keys", [True, False], ids=["with the trust file", "without"])
def test_a_version_that_answered_before_signatures_were_demanded(with_keys: bool) -> None:
    """Running workers go on; the doctor says that one which is started again would not, and what to do."""
    ring = KeyRing()
    found = lines(ring.now if with_keys else None, model("1.0.0"), rollout(1, "1.0.0"))
    assert found
    assert {line.health for line in found} == {"bad"}
    assert any(line.do for line in found) or "signature_missing" in found[0].seen
    signed = signed_epoch(rollout(1, "1.0.0"), ring.release, model("1.0.0"))
    (line,) = lines(ring.now if with_keys else None, model("1.0.0"), signed)
    assert line.health == "bad"
    assert "does not load" in line.seen
    assert "Sign a version again" in line.do


def test_an_epoch_of_a_revoked_key_is_bad_and_a_version_of_one_is_a_warning() -> None:
    """A worker that starts waits for the first, and loads the second; an understudy is never told as what answers."""
    ring = KeyRing()
    made = signed_version(model("1.0.0"), ring.builder)
    live = signed_epoch(rollout(1, "1.0.0"), ring.release, made)
    ring.revoke(ring.builder)
    ((health, seen),) = told(ring.now, made, live)
    assert (health, "loads 1.0.0" in seen) == ("warn", True)
    ring.revoke(ring.release)
    ((health, seen),) = told(ring.now, made, live)
    assert (health, seen.startswith("a worker that starts would wait: epoch 1")) == ("bad", True)
    before = signed_epoch(rollout(1, "1.0.0"), ring.stranger, made)
    ring.trust(ring.stranger, "release")
    newer = signed_epoch(rollout(2, "1.0.0"), ring.release, made)
    assert any("would go back to 1.0.0" in seen for _, seen in told(ring.now, made, before, newer))


def test_an_unsigned_understudy_is_a_warning() -> None:
    """It does not answer, but would not stand in either."""
    ring = KeyRing()
    made, spare = signed_version(model("1.1.0"), ring.builder), model("1.0.0")
    live = signed_epoch(rollout(2, "1.1.0", understudy="1.0.0"), ring.release, made, spare)
    for keys in (ring.now, None):
        ((health, seen),) = told(keys, made, spare, live)
        assert (health, "1.0.0" in seen) == ("warn", True)


def test_who_demands_is_told_by_the_specification_or_by_the_trust_file() -> None:
    """Whoever may write the specifications cannot hide it."""
    specs = {"p": PipelineSpec.parse(specification().spec), "q": PipelineSpec.parse(RECORD.spec)}
    keys = TrustedKeys.parse(KeyRing().text + "required_for: [p]\n")
    assert that_demand(specs, None) == ["q"]
    assert that_demand(specs, keys) == ["p", "q"]
