"""The gate: every clause with value, bound and verdict; a model that was tried on nothing does not pass."""

import pytest

from freshet.pipeline.gate import Clause, GateVerdict, judge_gate

METRICS = {
    "candidate.accuracy": 0.9,
    "champion.accuracy": 0.92,
    "candidate.log_loss": 0.3,
    "champion.log_loss": 0.25,
    "candidate.slice.large.accuracy": 0.5,
    "champion.slice.large.accuracy": 0.8,
    "candidate.auc": 0.7,
    "champion.kappa": 0.7,
    "candidate.latency_ms": 0.02,
    "champion.latency_ms": 0.008,
}


@pytest.mark.parametrize(
    ("clause", "champion", "verdict"),
    [
        (Clause(metric="accuracy", not_worse_by=0.03), "1.0.0", "pass"),
        (Clause(metric="accuracy", not_worse_by=0.01), "1.0.0", "fail"),
        (Clause(metric="accuracy", not_worse_by=0.0), "", "pass"),
        (Clause(metric="log_loss", not_worse_by=0.06), "1.0.0", "pass"),
        (Clause(metric="log_loss", not_worse_by=0.04), "1.0.0", "fail"),
        (Clause(metric="accuracy", at_least=0.9), "1.0.0", "pass"),
        (Clause(metric="accuracy", at_least=0.91), "", "fail"),
        (Clause(metric="log_loss", at_most=0.29), "", "fail"),
        (Clause(metric="accuracy", slice="large", not_worse_by=0.1), "1.0.0", "fail"),
        (Clause(metric="accuracy", slice="small", not_worse_by=0.1), "1.0.0", "pass"),
        (Clause(metric="auc", not_worse_by=0.1), "1.0.0", "fail"),
        (Clause(metric="kappa", not_worse_by=0.1), "1.0.0", "fail"),
        (Clause(metric="calibration_error", at_most=0.1), "1.0.0", "fail"),
        (Clause(metric="latency_ms", at_most=0.02), "", "pass"),
        (Clause(metric="latency_ms", at_most=0.01), "", "fail"),
        (Clause(metric="latency_ms", not_worse_by=0.02), "1.0.0", "pass"),
        (Clause(metric="latency_ms", not_worse_by=0.01), "1.0.0", "fail"),
    ],
)
def test_clause_says_value_bound_and_verdict(clause: Clause, champion: str, verdict: str) -> None:
    """More is better of some metrics and less of others; a figure that only one of the two has proves nothing."""
    judged = judge_gate([clause], METRICS, champion)
    assert judged.verdict == verdict
    (words,) = judged.clauses
    assert words.endswith(f": {verdict}")
    assert clause.metric in words


def test_gate_passes_if_every_clause_holds_and_without_clauses_says_nothing() -> None:
    """One that does not hold is enough; the others are told all the same."""
    good, bad = Clause(metric="accuracy", at_least=0.5), Clause(metric="accuracy", at_least=0.95)
    assert judge_gate([good, good], METRICS, "").verdict == "pass"
    assert (judge_gate([good, bad], METRICS, "").verdict, len(judge_gate([good, bad], METRICS, "").clauses)) == (
        "fail",
        2,
    )
    assert judge_gate([], METRICS, "1.0.0") == GateVerdict("none")


def test_verdict_rides_in_a_lineage_and_comes_back() -> None:
    """A model that was not trained here has none."""
    verdict = judge_gate([Clause(metric="accuracy", at_least=0.5)] * 11, METRICS, "")
    assert GateVerdict.of_lineage({"training": "t", **verdict.lineage}) == verdict
    assert GateVerdict.of_lineage({"gate": "splendid"}) == GateVerdict("none")


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        (Clause(metric="accuracy", at_least=95), "no model passes: accuracy is never above 1."),
        (Clause(metric="kappa", at_most=-1.5), "no model passes: kappa is never below -1."),
        (Clause(metric="log_loss", at_most=-0.1), "no model passes: log_loss is never below 0."),
    ],
)
def test_a_bound_that_no_model_can_meet_is_a_mistake(clause: Clause, message: str) -> None:
    """Most often a share that was written in per cent: else every training would be refused."""
    assert [said for _, said in clause.problems("classes", ())] == [message]
    sound = [Clause(metric="accuracy", at_least=1.0), Clause(metric="kappa", at_least=-0.5)]
    assert [problem for each in sound for problem in each.problems("classes", ())] == []
    assert [*Clause(metric="r2", at_most=-3.0).problems("value", ())] == []


def test_latency_is_known_for_every_target_and_has_no_slices() -> None:
    """What a row takes does not depend on what it says."""
    clause = Clause(metric="latency_ms", at_most=1.0)
    assert [*clause.problems("classes", ()), *clause.problems("value", ())] == []
    sliced = Clause(metric="latency_ms", slice="large", at_most=1.0)
    ((path, message),) = sliced.problems("value", ("large",))
    assert (path, "leave `slice` out" in message) == (("slice",), True)
