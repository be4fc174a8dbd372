"""Stream code of a user's own: the example of docs/faust.md, as it stands there, on a real Kafka."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from freshet.outcomes.outcome_rows import OutcomeRows
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from support.detect_engines import WatchedLog
from support.faults import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

DOCUMENT = Path(__file__).parents[2] / "docs" / "faust.md"


@contextmanager
def running(program: Path, log: WatchedLog) -> Iterator[subprocess.Popen[bytes]]:
    """The program as a worker, until the block ends: then it is killed."""
    environ = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": log.kafka, "FRESHET_NAMESPACE": log.names.namespace}
    with program.with_suffix(".log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(program), "worker"], cwd=program.parent, env=environ, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wrong_answers(log: WatchedLog) -> dict[str, int]:
    """What the example must have counted."""
    counts: Counter[str] = Counter()
    for record in log.log.records:
        rows = OutcomeRows.of(record.record)
        counts.update(rows.versions[at] for at in rows.version[rows.answer != rows.label].tolist())
    return dict(counts)


def test_the_documented_agent_counts_every_row_once(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Killed under load and started again: the last count is that of the log, without rows of aborted transactions."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    program = tmp_path / "wrong_answers.py"
    program.write_text(example)
    log = WatchedLog(kafka, namespace, tmp_path)
    KafkaAdmin(kafka).create(f"{namespace}fraud.wrong-answers", 1, {})

    def counted() -> bool:
        return log.last_value(f"{namespace}fraud.wrong-answers") == json.dumps(wrong_answers(log)).encode()

    log.grow(2000, 0.3)
    with running(program, log):
        until("the rows to be counted", counted)
        log.grow(2000, 0.3)
    with running(program, log):
        log.grow(1000, 0.3)
        until("all rows to be counted", counted)
        until("the last record to be committed, behind the last marker", lambda: committed(log) > log.last_offset())


def committed(log: WatchedLog) -> int:
    """How far the example says that it has come. As it is released, Faust stands still at transaction markers."""
    at = log.admin.committed(log.names.group("faust-wrong-answers"), log.names.topic("outcomes"))
    return at[0].offset if at else 0


def test_an_agent_that_raises_ends_the_process(kafka: str, namespace: str, tmp_path: Path) -> None:
    """With 70 and the reason; the record comes again, as nothing was acknowledged."""
    program = tmp_path / "broken.py"
    program.write_text(
        "from freshet.drift.faust import app\n"
        "from freshet.runtime.settings import load_settings\n"
        "here = app(load_settings(), 'fraud', 'broken')\n"
        "@here.agent(here.outcomes)\n"
        "async def fails(stream):\n"
        "    async for event in stream.events():\n"
        "        if event.message.offset >= 3: raise ValueError('no good')\n"
        "here.main()\n"
    )
    log = WatchedLog(kafka, namespace, tmp_path)
    log.grow(1000, 0.3, aborts=0.0)
    for _ in range(2):
        with running(program, log) as process:
            assert process.wait(60) == 70
    said = program.with_suffix(".log").read_text()
    assert said.count("agent fails raised ValueError('no good'); its record is not acknowledged.") == 2


def test_without_the_pipelines_topics_it_ends_with_what_to_do(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Faust itself would make them, with settings of its own."""
    program = tmp_path / "stray.py"
    program.write_text(
        "from freshet.drift.faust import app\n"
        "from freshet.runtime.settings import load_settings\n"
        "here = app(load_settings(), 'nowhere', 'stray')\n"
        "@here.agent(here.outcomes)\n"
        "async def reads(stream):\n"
        "    async for _ in stream: pass\n"
        "here.main()\n"
    )
    log = WatchedLog(kafka, namespace, tmp_path)
    with running(program, log) as process:
        assert process.wait(60) == 70
    assert f"there is no topic {namespace}nowhere.outcomes" in program.with_suffix(".log").read_text()
    assert f"{namespace}nowhere.outcomes" not in log.admin.names()
