"""From a candidate to a numbered version or a refusal."""

import pytest

from freshet.contracts.logic import Cancel, JobError, Outcome, Start
from freshet.ledger.manifest_id import manifest_id
from support.registry import PIPELINE, Judgement, World, candidate, decided


def test_admitted_and_refused_candidates_each_get_a_record_and_a_decision() -> None:
    """Admitted: keyed by version. Refused: keyed by its manifest, without a version, with the report's reason."""
    world = World()
    world.apply()
    good, bad = candidate("good"), candidate("bad")
    world.judgements[bad.manifest.digest] = Judgement(
        admitted=False, reason="golden_rows", detail="row 3 is off by 0.2."
    )
    world.publish(good)
    world.publish(bad)
    keys = {announced.key for announced in world.settle() if announced.role == "models"}
    assert keys == {"fraud/1.0.0", f"fraud/{manifest_id(bad.manifest)}"}
    refused = world.models()[bad.manifest.digest]
    assert (refused.version, refused.state, refused.reason) == ("", "refused", "golden_rows: row 3 is off by 0.2.")
    assert world.models()["1.0.0"].memory_bytes == 1_000_000
    assert world.verdict(good.manifest.digest) == "done"
    assert world.verdict(bad.manifest.digest) == "refused"


def test_one_admission_at_a_time_in_order_of_publication() -> None:
    """Numbers follow the order of publication, because the next candidate waits for the verdict on the one before."""
    world = World()
    world.apply()
    for name in ("z", "a", "m"):
        world.publish(candidate(name))
    world.decide()
    assert [job.digest for job in world.jobs] == [candidate("z").manifest.digest]
    world.settle()
    digests = [world.models()[version].manifest.digest for version in ("1.0.0", "1.1.0", "1.2.0")]
    assert digests == [candidate(name).manifest.digest for name in ("z", "a", "m")]


def test_candidate_waits_for_its_pipeline() -> None:
    """Without a contract nothing can be judged; once the pipeline is applied, the candidate is."""
    world = World()
    world.publish(candidate("early"))
    assert world.settle() == []
    world.apply()
    world.settle()
    assert "1.0.0" in world.models()


def test_the_contract_of_the_pipeline_goes_with_the_job() -> None:
    """The sandbox is told feature names, classes and limits of the specification."""
    world = World()
    world.apply()
    world.publish(candidate("m"))
    world.decide()
    (job,) = world.jobs
    assert job.classes == ("legit", "fraud")
    assert len(job.feature_names) == 2
    assert job.limits.max_model_mb == 256


def test_same_digest_published_twice_is_judged_once() -> None:
    """Before and after the verdict: one record, one decision."""
    world = World()
    world.apply()
    world.publish(candidate("m"))
    world.publish(candidate("m"))
    world.settle()
    world.publish(candidate("m"))
    assert world.settle() == []
    assert list(world.models()) == ["1.0.0"]


def test_crash_before_the_verdict_is_committed_judges_again() -> None:
    """The running admission is on no topic: a successor starts it anew, and the outcome is the same."""
    world = World()
    world.apply()
    world.publish(candidate("m"))
    world.decide()
    world.run_jobs()
    lost = decided(world.decider, world.now_ms)
    world.crash()
    again = decided(world.decider, world.now_ms)
    assert any(isinstance(effect, Start) for effect in again)
    world.crash()
    assert next(effect for effect in world.settle() if effect.role == "models") in lost


def test_verdict_is_repeated_until_it_is_folded() -> None:
    """A commit that was refused loses nothing: the next decision brings the same announcements."""
    world = World()
    world.apply()
    world.publish(candidate("m"))
    world.decide()
    world.run_jobs()
    assert decided(world.decider, world.now_ms) == decided(world.decider, world.now_ms) != []


def test_admission_that_could_not_be_run_is_tried_again_later() -> None:
    """An error is no verdict on the model: it is tried again after a wait that doubles; others go first meanwhile."""
    world = World()
    world.apply()
    unlucky = candidate("unlucky").manifest.digest
    world.judgements[unlucky] = "the sandbox could not be started."
    world.publish(candidate("unlucky"))
    world.publish(candidate("lucky"))
    world.settle()
    assert [record.manifest.digest for record in world.models().values()] == [candidate("lucky").manifest.digest]
    world.now_ms += 1_000
    world.settle()
    world.now_ms += 1_999
    world.decide()
    assert world.jobs == []
    del world.judgements[unlucky]
    world.now_ms += 1
    world.settle()
    assert world.models()["1.1.0"].manifest.digest == unlucky


def test_specification_that_cannot_be_read_blocks_its_pipeline_only() -> None:
    """Nothing is judged by an older specification; promotes are refused with the error; other pipelines go on."""
    world = World()
    world.apply()
    world.publish(candidate("m"))
    world.settle()
    world.apply(policy="no-such-policy", number=2)
    world.publish(candidate("n"))
    asked = world.command("promote", "1.0.0")
    world.settle()
    assert list(world.models()) == ["1.0.0"]
    (decision,) = world.decisions(asked)
    assert decision.verdict == "refused"
    assert "no-such-policy" in decision.reason
    world.apply(number=3)
    world.settle()
    assert "1.1.0" in world.models()


@pytest.mark.parametrize("applied", [False, True], ids=["published again", "applied, then published again"])
def test_refused_candidate_that_is_published_again_is_judged_again(applied: bool) -> None:
    """What its refusal told the operator to repair can be repaired: a specification, a chunk, a busy machine."""
    world = World()
    world.apply()
    asked = candidate("m")
    world.judgements[asked.manifest.digest] = Judgement(False, "model_slow", "a batch takes 300 ms.")
    world.publish(asked)
    world.settle()
    if applied:
        world.apply(number=2)
    assert world.settle() == [], "one verdict for each record, and no endless loop"
    world.judgements.clear()
    world.crash()
    assert world.settle() == []
    world.publish(asked)
    world.settle()
    assert world.models()["1.0.0"].manifest == asked.manifest
    world.crash()
    assert world.settle() == []


def test_corrected_manifest_for_the_same_bytes_is_judged() -> None:
    """Packed with classes in the wrong order, and refused; packed again rightly, and admitted."""
    world = World()
    world.apply()
    wrong, right = candidate("m", classes=("fraud", "legit")), candidate("m")
    assert wrong.manifest.digest == right.manifest.digest
    world.judgements[wrong.manifest.digest] = Judgement(False, "manifest_invalid", "its classes are in another order.")
    world.publish(wrong)
    world.settle()
    world.judgements.clear()
    world.publish(right)
    world.settle()
    assert world.models()["1.0.0"].manifest == right.manifest


def test_version_that_is_published_again_says_where_its_chunks_are_now() -> None:
    """The number stays, nothing is judged; workers look where the last publication put the chunks."""
    world = World()
    world.apply()
    asked = candidate("m")
    world.publish(asked)
    world.settle()
    world.publish(asked.model_copy(update={"chunk_offsets": (70,)}))
    assert [announced.role for announced in world.settle()] == ["models"]
    assert world.models()["1.0.0"].chunk_offsets == (70,)
    world.crash()
    assert world.settle() == []


@pytest.mark.parametrize("hint", [(-1,), (7, 8), ()])
def test_a_hint_that_cannot_be_one_is_dropped(hint: tuple[int, ...]) -> None:
    """It is an offset for each chunk, none below 0; the model is judged, and a good hint is not replaced by a bad."""
    world = World()
    world.apply()
    asked = candidate("m")
    world.publish(asked.model_copy(update={"chunk_offsets": hint}))
    world.decide()
    assert [job.candidate.chunk_offsets for job in world.jobs] == [()]
    world.settle()
    world.publish(asked.model_copy(update={"chunk_offsets": (70,)}))
    world.settle()
    world.publish(asked.model_copy(update={"chunk_offsets": hint}))
    assert world.settle() == []
    assert world.models()["1.0.0"].chunk_offsets == (70,)


def test_what_the_sandbox_could_not_guard_is_in_the_decision() -> None:
    """Whoever reads the audit sees how well the verdict was protected; nothing is said where all is well."""
    world = World()
    world.apply()
    bare, guarded = candidate("bare"), candidate("guarded")
    world.judgements[bare.manifest.digest] = Judgement(unguarded=("it could reach the network (EPERM)",))
    for asked in (bare, guarded):
        world.publish(asked)
    world.settle()
    assert world.decisions(bare.manifest.digest)[0].inputs["unguarded"] == "it could reach the network (EPERM)"
    assert "unguarded" not in world.decisions(guarded.manifest.digest)[0].inputs


def test_an_admission_that_nobody_waits_for_any_more_is_cancelled_once() -> None:
    """Its candidate was withdrawn: the sandbox is free for the next one at once, and nothing is said of the first."""
    world = World()
    world.apply()
    asked = candidate("a")
    world.publish(asked)
    world.decide()
    (running,) = world.jobs
    world.tell("candidates", f"{PIPELINE}/{asked.manifest.digest}", None)
    effects = [effect for _ in range(2) for effect in decided(world.decider, world.now_ms)]
    assert effects == [Cancel(running.queue)]
    world.publish(candidate("b"))
    assert decided(world.decider, world.now_ms) == [], "one at a time: the first has not ended yet"
    world.jobs.clear()
    world.decider.on_job(Outcome(running, error=JobError("cancelled", "it was told to stop.")))
    world.settle()
    assert [record.manifest.digest for record in world.models().values()] == [candidate("b").manifest.digest]
