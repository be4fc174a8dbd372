"""A training on a bus in memory, end to end: from records of the labelled log to a candidate that can be admitted."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from structlog.testing import capture_logs

from freshet.avro.control import decode
from freshet.contracts.messages import Candidate, Manifest
from freshet.models import fork_server
from freshet.models.admission import Contract, Limits, admit
from freshet.models.model_error import ModelError
from freshet.models.sandbox import Ending, SandboxError
from freshet.models.scorer import Scorer
from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.pipeline import PipelineSpec
from freshet.retraining import training_process
from freshet.retraining.core.train_job import Champion, Trained
from freshet.retraining.training_run import train, training_server
from freshet.runtime.artifacts import fetch_model
from freshet.runtime.reading import everything
from freshet.training.trainer import TrainingError
from support.labelled import CLASSES, NEVER, Log, learnable, records_of, scrambled, spec_text
from support.models import graph

ROWS = 1500
CUT = 1200
VALUE = "{kind: value}"
TWO_FEATURES = spec_text().replace(", {kind: field, of: hour}", "")


def log_of(rows: OutcomeRows | None = None) -> Log:
    """With rows that can be learned from."""
    return Log(*records_of(learnable(ROWS, late_rows=20) if rows is None else rows))


def candidates(log: Log) -> list[Candidate]:
    """All that were published."""
    values = [value for batch in everything(log.bus, "candidates") for value in batch.values]
    found = [decode("candidates", value or b"") for value in values]
    return [record for record in found if isinstance(record, Candidate)]


def bytes_of(log: Log, manifest: Manifest) -> bytes:
    """The published model."""
    return fetch_model(manifest, (), log.bus).bytes()


def champion_of(trained: Trained) -> Champion:
    """It answers now."""
    return Champion("1.0.0", trained.manifest, ())


def test_a_candidate_stands_on_its_topic_with_figures_and_lineage() -> None:
    """What was learned answers well, would be admitted, and says where it comes from."""
    log = log_of()
    found = log.train(CUT)
    (candidate,) = candidates(log)
    assert candidate.manifest == found.manifest
    assert (found.rows, found.holdout_rows) == (CUT, ROWS - CUT - 20)
    assert sum(found.classes.values()) == CUT
    assert tuple(found.classes) == CLASSES
    metrics = found.metrics
    assert metrics["candidate.accuracy.low"] < metrics["candidate.accuracy"] < metrics["candidate.accuracy.high"]
    assert metrics["candidate.accuracy"] > 0.85
    assert 0 < metrics["candidate.slice.large.rows"] < found.holdout_rows
    lineage = found.manifest.lineage
    assert (lineage["training"], lineage["cut_row"], lineage["seed"]) == ("t" * 32, str(CUT), "7")
    assert (lineage["data"], lineage["code"]) == (found.data_digest, found.code)
    assert f"scikit-learn {version('scikit-learn')}," in lineage["libraries"]
    spec = PipelineSpec.parse(spec_text())
    contract = Contract(spec.feature_names, CLASSES, Limits(batch_p99_ms=5000))
    assert admit(bytes_of(log, found.manifest), found.manifest, contract).admitted


@pytest.mark.parametrize(
    "trainer",
    [
        "logistic-regression",
        pytest.param("hist-gradient-boosting", marks=pytest.mark.slow),
        pytest.param("lightgbm", marks=pytest.mark.slow),
        pytest.param("river-logistic-regression", marks=pytest.mark.slow),
    ],
)
def test_the_same_job_gives_the_same_candidate_in_another_process(
    trainer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each training has a process of its own, started or forked. Labels behind the cut make no difference."""
    params = {"learning_rate": "0.05"} if trainer.startswith("river") else {"balance": "true"}
    log, job = log_of(), {"trainer": trainer, "params": params}
    first = log.train(CUT, **job)
    with closing(training_server()) as server, monkeypatch.context() as forked:
        forked.delattr(fork_server, "run_child")
        again = train(log.job(CUT, **job), log.bus, NEVER, server=server)
        third = train(log.job(CUT, **job), log.bus, NEVER, server=server)
        assert third.digest == again.digest
    assert replace(again, cpu_ms=0, offset=0) == replace(first, cpu_ms=0, offset=0)
    published = [record.model_copy(update={"chunk_offsets": ()}) for record in candidates(log)]
    assert published[0] == published[-1]
    later = log_of(scrambled(learnable(ROWS, late_rows=20), CUT))
    other = later.train(CUT, trainer=trainer, params=params)
    assert other.digest == first.digest
    assert other.data_digest != first.data_digest
    assert other.metrics["candidate.accuracy"] < 0.5 < first.metrics["candidate.accuracy"]


def test_latency_is_measured_where_a_clause_asks_for_it_and_a_repetition_keeps_the_candidate() -> None:
    """Of candidate and champion, on the same rows; else manifests would differ from one run to the next."""
    log, text = log_of(), spec_text() + "retraining: {gate: [{metric: latency_ms, at_most: 60000}]}\n"
    plain = log.train(CUT, trainer="logistic-regression")
    assert not [name for name in plain.metrics if "latency" in name]
    timed = log.train(CUT, trainer="logistic-regression", spec=text, champion=champion_of(plain))
    assert 0 < timed.metrics["candidate.latency_ms"] < 60_000
    assert timed.metrics["champion.latency_ms"] > 0
    assert timed.manifest.lineage["gate"] == "pass"
    assert "latency_ms" in timed.manifest.lineage["gate.1"]
    marked = timed.manifest.model_copy(update={"metrics": {"candidate.latency_ms": 1e-9}})
    again = log.train(CUT, trainer="logistic-regression", spec=text, champion=champion_of(plain), published=marked)
    assert (again.manifest, again.metrics) == (marked, marked.metrics)


@pytest.mark.slow
def test_the_champion_is_tried_on_the_same_rows() -> None:
    """The same model has the same figures; one of an older specification is asked with the features that it knows."""
    log = log_of()
    older = log.train(CUT, spec=TWO_FEATURES)
    newer = log.train(CUT, champion=champion_of(older))
    again = log.train(CUT, champion=champion_of(newer))
    assert older.manifest.inputs == ("amount", "age")
    metrics = again.metrics
    mine = {name.removeprefix("candidate."): value for name, value in metrics.items() if name.startswith("candidate.")}
    assert mine == {name.removeprefix("champion."): value for name, value in metrics.items() if "champion" in name}
    assert newer.metrics["champion.log_loss"] == pytest.approx(older.metrics["candidate.log_loss"])
    assert newer.manifest.lineage["champion"] == "1.0.0"


@pytest.mark.slow
def test_a_champion_whose_bytes_are_gone_is_an_error() -> None:
    """There would be nothing to compare with."""
    log = log_of()
    lost = log_of().train(CUT, seed=3)
    with pytest.raises(ModelError, match="holds no valid chunk"):
        log.train(CUT, champion=champion_of(lost))


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["hist-gradient-boosting", "lightgbm"])
def test_a_value_is_learned_too(trainer: str) -> None:
    """A regression has its own figures."""
    log = log_of(learnable(ROWS, value=True))
    found = log.train(CUT, spec=spec_text(VALUE), trainer=trainer, params={"iterations": "20"})
    assert found.classes == {}
    assert found.metrics["candidate.r2"] > 0.5
    assert found.metrics["candidate.mae.low"] < found.metrics["candidate.mae"]
    assert "candidate.accuracy" not in found.metrics


@pytest.mark.slow
def test_probabilities_of_balanced_classes_are_those_of_the_world() -> None:
    """Fraud is rare: learned as if it were not, and yet as probable as it is."""
    rows = learnable(ROWS)
    keep = np.flatnonzero((rows.label == 0) | (np.arange(ROWS) % 10 == 0))
    log, params = log_of(rows.take(keep)), {"balance": "true"}
    found = log.train(1000, params=params)
    with_answers = Scorer.load(bytes_of(log, found.manifest), found.manifest)
    said = with_answers.score(rows.values[keep[:1000]])[:, 1].mean()
    assert said == pytest.approx(found.classes["fraud"] / 1000, abs=0.01)
    with_answers.close()


@pytest.mark.parametrize(
    ("but", "told"),
    [
        ({"min_rows": 5000}, "there are 1,200 labelled rows to learn from, fewer than the 5,000"),
        (
            {"trainer": "logistic-regression", "spec": spec_text(VALUE)},
            "predicts classes, but the pipeline's target is value",
        ),
        ({"params": {"depth": "3"}}, "does not take these parameters"),
        ({"trainer": "command", "params": {"program": '"mine"'}}, "here none may be run"),
    ],
)
def test_what_gives_no_model_is_told_in_a_sentence(but: dict[str, object], told: str) -> None:
    """And nothing is published."""
    log = log_of()
    with pytest.raises(TrainingError, match=told):
        log.train(CUT, **but)
    assert not candidates(log)


def test_nobody_waits_for_a_training_that_was_cancelled() -> None:
    """The child is ended within a second or so."""
    stop = threading.Event()
    stop.set()
    log = log_of()
    with pytest.raises(SandboxError, match="nobody waits for it"):
        train(log.job(CUT), log.bus, stop)
    assert not candidates(log)


@pytest.mark.parametrize(("code", "told"), [(-9, SandboxError), (-11, TrainingError), (1, TrainingError)])
def test_a_child_that_was_killed_may_come_to_its_end_another_time(
    code: int, told: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL comes from without, or for want of memory; however else it ends is its own doing, and comes again."""
    ended = Ending(({"step": "fitting"},), code)
    monkeypatch.setattr(training_process, "run_child", lambda *_, **__: ended)
    log = log_of()
    with pytest.raises(told, match="fitting"):
        log.train(CUT)
    assert not candidates(log)


def test_what_a_child_could_have_done_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer's library may keep it out of the namespace that the service found to work as it started."""
    missing = "it could reach the network ([Errno 22] Invalid argument)"
    ended = Ending(({"step": "the start", "unguarded": [missing]}, {"failed": "training", "detail": "no."}), 0)
    monkeypatch.setattr(training_process, "run_child", lambda *_, **__: ended)
    with capture_logs() as lines, pytest.raises(TrainingError):
        log_of().train(CUT)
    assert [(line["event"], line["missing"]) for line in lines] == [("sandbox_unguarded", [missing])]


@pytest.fixture
def programs() -> Iterator[Path]:
    """A folder that everybody may read, also whom a child of root becomes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def program(folder: Path, *lines: str) -> None:
    """`mine`, for a shell."""
    file = folder / "mine"
    file.write_text("\n".join(["#!/bin/sh", *lines]))
    file.chmod(0o755)


def sign_of_amount() -> bytes:
    """A classifier that only looks at the first feature."""
    weights = np.array([[-2, 2], [0, 0], [0, 0]], np.float32)
    constants = {"zero": np.zeros(1, np.float32), "weights": weights}
    nodes = [
        helper.make_node("IsNaN", ["rows"], ["holes"]),
        helper.make_node("Where", ["holes", "zero", "rows"], ["full"]),
        helper.make_node("MatMul", ["full", "weights"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["scores"], axis=1),
    ]
    given = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 3])
    return bytes(graph(nodes, constants, given=given).SerializeToString())


@pytest.mark.slow
def test_a_program_of_ones_own_trains_too(programs: Path) -> None:
    """It finds the rows in a file, and writes an ONNX file."""
    (programs / "ready.onnx").write_bytes(sign_of_amount())
    program(programs, f'head -1 rows.csv | grep -q amount,age,hour,truth && cp "{programs}/ready.onnx" model.onnx')
    log = log_of()
    found = train(log.job(CUT, trainer="command", params={"program": '"mine"'}), log.bus, NEVER, programs)
    assert found.metrics["candidate.accuracy"] > 0.7
    assert candidates(log)[0].manifest.trainer == "command"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["echo no luck today >&2", "exit 3"], "mine ended with exit code 3. It said: no luck today"),
        (["true"], r"has written no model\.onnx"),
        (["echo nonsense > model.onnx"], "(?i)onnx"),
    ],
)
def test_a_program_that_fails_is_heard(programs: Path, lines: list[str], told: str) -> None:
    """Its last line is the reason, and no traceback."""
    program(programs, *lines)
    log = log_of()
    job = log.job(CUT, trainer="command", params={"program": '"mine"'})
    with pytest.raises((TrainingError, ModelError), match=told):
        train(job, log.bus, NEVER, programs)
