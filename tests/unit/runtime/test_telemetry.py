"""Metrics that explain themselves, and logs that machines can read."""

import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from freshet.runtime.clock import ManualClock
from freshet.runtime.metrics.of_services import TRANSACTIONS
from freshet.runtime.supervised import Supervised
from freshet.runtime.telemetry import Metrics, configure_logs
from freshet.runtime.turners import Turners

UNITS = ("_seconds", "_records", "_partitions", "_bytes", "_total", "_ratio", "_models", "_info")
NUMBERS = {"freshet_ready", "freshet_live_epoch"}
"""What has no unit: a state of 0 or 1, and a number that something is called by."""


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """Whatever the test configures is undone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_every_metric_has_a_help_text_a_unit_and_its_scope() -> None:
    """Whoever meets one on a dashboard can read it without the code."""
    found = list(Metrics().registry.collect())
    assert len(found) > 10
    for metric in found:
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        assert name.startswith("freshet_")
        assert metric.documentation.endswith("."), f"{name}: the help text is no sentence"
        assert name.endswith(UNITS) or name in NUMBERS, f"{name} lacks its unit"


def test_two_processes_in_one_test_do_not_share_metrics() -> None:
    """Each has a registry of its own; a global one would refuse the second."""
    first, second = Metrics(), Metrics()
    first[TRANSACTIONS].labels("inference", "p").inc()
    labels = {"service": "inference", "pipeline": "p"}
    assert first.registry.get_sample_value("freshet_transactions_committed_total", labels) == 1
    assert second.registry.get_sample_value("freshet_transactions_committed_total", labels) is None


def test_every_log_line_is_json_and_says_who_wrote_it(logs_as_before: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours, the standard library's and a traceback alike: one line, one object; no variable's value is told."""
    configure_logs("info", service="ingestion", slot="3")
    structlog.get_logger("loop").info("rebalanced", partitions=[1, 2], text="a\nb")
    logging.getLogger("freshet.kafka").warning("broker %s is away", "b1")
    try:
        _trip("hunter2")
    except ValueError:
        structlog.get_logger("main").exception("unexpected")
    thread = threading.Thread(target=lambda: structlog.get_logger("jobs").info("elsewhere"))
    thread.start()
    thread.join()
    structlog.get_logger("loop").debug("not at this level")
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["event"] for line in lines] == ["rebalanced", "broker b1 is away", "unexpected", "elsewhere"]
    assert [line["level"] for line in lines] == ["info", "warning", "error", "info"]
    assert {(line["service"], line["slot"]) for line in lines} == {("ingestion", "3")}
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["partitions"] == [1, 2]
    assert "boom" in json.dumps(lines[2]["exception"])
    assert "hunter2" not in written, "the frames of a traceback may hold passwords"


def test_a_line_of_one_of_several_loops_says_whose_it_is(
    logs_as_before: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drift runs three in a process: whatever is logged in a loop's thread is that loop's."""
    configure_logs("info", service="drift", slot="0")
    said, stop, words = threading.Barrier(2), threading.Event(), iter(["one", "another"])  # the same is said once

    class Saying:
        beat_s = 0.0

        def step(self, timeout_s: float) -> int:
            structlog.get_logger("state").info("restored")
            logging.getLogger("freshet.kafka").warning("FAIL of %s", next(words))
            said.wait()
            stop.set()
            return 0

        def unready(self) -> str | None:
            return None

        def close(self) -> None: ...

    parts = ("drift-join", "drift-detect")
    turners = Turners([Supervised(Saying, ManualClock(), "p", service=part) for part in parts], stop)
    turners.run()
    turners.end()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) >= 4
    for event in ("restored", "FAIL of "):
        assert {line["service"] for line in lines if line["event"].startswith(event)} == {*parts}
    assert {line["pipeline"] for line in lines} == {"p"}


def _trip(secret: str) -> None:
    raise ValueError("boom" if secret else "")
