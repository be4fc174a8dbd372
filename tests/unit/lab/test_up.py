"""The merged log, and which processes a pipeline needs."""

import contextlib
import errno
import json
import os
import signal
import threading
import time
from itertools import count
from pathlib import Path
from unittest.mock import Mock

import pytest

from freshet.contracts.topic_table import TopicNames
from freshet.lab.supervisor import Supervisor
from freshet.lab.up.merged_log import MergedLog, brief, readable, sentence
from freshet.lab.up.service_run import Run, ready, started
from freshet.lab.up.services import Planned, Services, plan
from freshet.operate.connection import Connection
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.service import load_service
from support.buses import MemoryWorld
from support.inference import specification
from support.signed import demanding


def test_lines_keep_their_order_and_whole_lines_only(tmp_path: Path) -> None:
    """What was there before is not shown; a half line waits for its end; a log that comes later is followed."""
    (tmp_path / "a.log").write_text("old\n")
    shown: list[str] = []
    log = MergedLog(tmp_path, ["a", "inference-0"], shown.append)
    with (tmp_path / "a.log").open("a") as file:
        file.write("one\ntw")
    log.pump()
    assert shown == ["a           | one"]
    with (tmp_path / "a.log").open("a") as file:
        file.write("o\n")
    (tmp_path / "inference-0.log").write_text("three\n")
    log.pump()
    assert shown[1:] == ["a           | two", "inference-0 | three"]
    assert log.last == {"a": "two", "inference-0": "three"}


def test_a_log_line_is_made_readable() -> None:
    """Time, level if it is no mere information, event, fields; what is not JSON stays as it is."""
    line = {"service": "registry", "slot": "0", "event": "failed", "error": "no way", "n": 3, "level": "error"}
    assert readable(json.dumps({**line, "timestamp": "2026-05-01T12:00:01.5Z"})) == (
        '12:00:01 ERROR failed error="no way" n=3'
    )
    assert readable("Traceback …") == "Traceback …"
    assert readable('{"no": "event"}') == '{"no": "event"}'


@pytest.mark.parametrize("verbose", [True, False])
def test_a_line_says_which_part_of_its_process_it_is_from(tmp_path: Path, verbose: bool) -> None:
    """Join, evaluation and detection run in one; a service that has its process for itself is not named again."""
    shown: list[str] = []
    log = MergedLog(tmp_path, ["drift-0", "inference-0"], shown.append, verbose=verbose)
    line = {"event": "retrying", "level": "warning", "timestamp": "2026-05-01T12:00:01.5Z"}
    for process, service in (("drift-0", "drift-detect"), ("inference-0", "inference")):
        (tmp_path / f"{process}.log").write_text(json.dumps({**line, "service": service}) + "\n")
    log.pump()
    assert shown == [
        "drift-0     | 12:00:01 WARNING drift-detect: retrying",
        "inference-0 | 12:00:01 WARNING retrying",
    ]


def test_a_version_that_its_gate_holds_back_is_not_called_refused() -> None:
    """The line before says that it is admitted; both are true, and one sentence says so."""
    decision = {
        "pipeline": "rain",
        "about": "rollout",
        "subject": "1.1.0",
        "verdict": "refused",
        "reason": "gate: refused, since it does not hold every clause: accuracy 0.8 must be at least 0.9: fail.",
        "inputs": {"cause": "policy gated", "training": "c8f7", "compared with": "1.0.0"},
    }
    line = {"event": "announced", "role": "decisions", "message": decision, "timestamp": "2026-05-01T12:00:01.5Z"}
    assert brief(json.dumps(line)) == (
        "12:00:01 rain: 1.1.0 is admitted, but not rolled out, since it does not hold every clause: accuracy 0.8 must "
        "be at least 0.9: fail."
    )


def test_what_only_a_close_look_needs_is_left_out(tmp_path: Path) -> None:
    """Starts, ends, decisions as sentences, warnings and errors stay, and what is no log line."""
    decision = {"pipeline": "rain", "verdict": "done", "reason": "epoch 1 is live: 1.0.0 answers."}
    refused = {"pipeline": "rain", "verdict": "refused", "reason": "model_not_finite: …"}
    begun = {
        "pipeline": "rain",
        "training": "c8f725ee0",
        "phase": "started",
        "trigger": "rows",
        "reason": "",
        "from_row": 0,
        "cut_row": 4000,
    }
    lines: list[dict[str, object]] = [
        {"event": "started", "level": "info", "pid": 7},
        {"event": "holding", "level": "info", "place": ["features", 0]},
        {"event": "decided", "level": "info", "role": "rollouts", "message": {"epoch": 1}},
        {"event": "decided", "level": "info", "role": "decisions", "message": decision},
        {"event": "decided", "level": "info", "role": "decisions", "message": refused},
        {"event": "decided", "level": "info", "role": "trainings", "message": begun},
        {"event": "decided", "level": "info", "role": "trainings", "message": {**begun, "reason": "too few rows."}},
        {"event": "retrying", "level": "warning", "error": "long " * 60 + "advice"},
    ]
    stamped = [json.dumps({**line, "timestamp": "2026-05-01T12:00:01.5Z"}) for line in lines]
    shown: list[str] = []
    log = MergedLog(tmp_path, ["a"], shown.append, verbose=False)
    (tmp_path / "a.log").write_text("\n".join([*stamped, "Traceback", ""]))
    log.pump()
    assert shown == [
        "a | 12:00:01 started pid=7",
        "a | 12:00:01 rain: epoch 1 is live: 1.0.0 answers.",
        "a | 12:00:01 rain: refused: model_not_finite: …",
        "a | 12:00:01 rain: training c8f725ee started (rows): rows 0 to 4,000",
        "a | 12:00:01 rain: training c8f725ee started (rows): too few rows.",
        f'a | 12:00:01 WARNING retrying error="{"long " * 60}advice"',
        "a | Traceback",
    ]
    assert log.last == {"a": "Traceback"}


def test_a_last_word_becomes_the_commands_sentence() -> None:
    """Of a service's log line the error, of a usage error its sentence."""
    assert sentence('{"event": "settings", "error": "slot 0 is taken."}') == "slot 0 is taken."
    assert sentence("error: no such option") == "no such option"


def test_every_service_gets_all_pipelines_and_a_port_of_its_own() -> None:
    """One registry for all, one ingestion, so many workers in slots of their own; listed as they are to end."""
    services = [load_service(name) for name in ("inference", "ingestion", "registry")]
    planned = plan(services, ["a", "b"], 2, count(1))
    assert [(one.name, " ".join(one.command).partition(" run ")[2], one.http_port) for one in planned] == [
        ("ingestion-0", "ingestion --pipelines a,b --slot 0 --http-port 1", 1),
        ("inference-0", "inference --pipelines a,b --slot 0 --http-port 2", 2),
        ("inference-1", "inference --pipelines a,b --slot 1 --http-port 3", 3),
        ("registry", "registry --http-port 4", 4),
    ]


SCRIPT = 'trap "{on_term}" TERM; echo $0 >> "$STARTED"; while :; do sleep 0.01; done'


def test_all_end_in_order_and_at_once_in_a_hurry(tmp_path: Path) -> None:
    """As they are planned, not as they were started; one that does not listen holds up the end until it is killed."""
    ended, begun = tmp_path / "ended", tmp_path / "begun"
    for on_term, hurries in (('echo $0 >> "$ENDED"; exit', False), ("", True)):
        begun.unlink(missing_ok=True)
        with Supervisor(tmp_path / "logs") as supervisor:
            names = ("ingestion-0", "inference-0", "registry")
            planned = [
                Planned(name, ("/bin/sh", "-c", SCRIPT.replace("{on_term}", on_term.replace('"', '\\"')), name), 1)
                for name in names
            ]
            services = Services(supervisor, planned, {"STARTED": str(begun), "ENDED": str(ended)})
            for name in reversed(names):
                services.start(name)
            deadline = time.monotonic() + 30
            while not begun.exists() or len(begun.read_text().split()) < len(names):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            hurry = threading.Event()
            if hurries:
                hurry.set()
            services.stop(hurry)
            assert [supervisor.pid(name) for name in names] == [None] * 3
            assert services.unmendable() is None or hurries
    assert ended.read_text().split() == ["ingestion-0", "inference-0", "registry"]


def test_a_closed_terminal_ends_all_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services finish what they have, though nothing that they say can be shown any more."""
    monkeypatch.chdir(tmp_path)
    ended, begun = tmp_path / "ended", set[str]()

    def show(line: str) -> None:
        if len(begun) == 2:
            raise OSError(errno.EIO, "Input/output error")
        if "begun" in line:
            begun.add(line)
            if len(begun) == 2:
                os.kill(os.getpid(), signal.SIGHUP)

    script = f"trap 'echo $0 >> {ended}; echo bye; exit' TERM; echo begun $0; while :; do sleep 0.01; done"
    names = ("ingestion-0", "inference-0")
    planned = [Planned(name, ("/bin/sh", "-c", script, name), 1) for name in names]
    connection = Connection("127.0.0.1:1", "", {}, KafkaAdmin("127.0.0.1:1"), show)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    run = Run(connection, [PipelineSpec.parse(specification().spec)], planned, [], show, verbose=True)
    try:
        with contextlib.suppress(OSError):
            run.until_stopped()
        run.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.read_text().split() == ["ingestion-0", "inference-0"]


def test_addresses_are_of_what_this_one_runs() -> None:
    """The registry that another `freshet up` of the folder runs answers elsewhere."""
    planned = [Planned("inference-0", (), 1), Planned("registry", (), 2)]
    assert [one.name for one in started(planned, ["registry"])] == ["inference-0"]
    assert started(planned, []) == planned


def test_who_follows_the_hints_of_a_pipeline_that_demands_signatures_signs() -> None:
    """With the key that retraining has, if it has one; elsewhere no key is spoken of."""
    world = MemoryWorld()
    world.make_topics("rollouts")
    connection = Mock(namespace="", bus=lambda: world.bus, names=lambda name: TopicNames("", name))
    plain, signed = (PipelineSpec.parse(record.spec) for record in (specification(), demanding(specification())))

    def hint(spec: PipelineSpec, key: Path | None) -> str:
        told = ready(connection, [spec], [], key).splitlines()
        (line,) = [line for line in told if "freshet model pack" in line]
        return line

    assert hint(plain, Path("b.pem")).endswith(" -o bundle")
    assert hint(signed, Path("my b.pem")).endswith(" -o bundle --key 'my b.pem'")
    assert hint(signed, None).endswith(" -o bundle --key BUILDER.pem")
