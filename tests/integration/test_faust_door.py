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
from freshet.runtime.bus.protocol import Send
from support.detect_engines import WatchedLog
from support.faults import until
from support.labelled_log import bernoulli

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

    topic = f"{namespace}fraud.wrong-answers"

    def counted() -> bool:
        is_there = topic in KafkaAdmin(kafka).names()
        return is_there and log.last_value(topic) == json.dumps(wrong_answers(log)).encode()

    log.grow(2000, 0.3)
    with running(program, log):
        until("the rows to be counted", counted)
        log.grow(2000, 0.3)
    with running(program, log):
        log.grow(1000, 0.3)
        until("all rows to be counted", counted)
        until("the last record to be committed, behind the last marker", lambda: committed(log) > log.last_offset())


def committed(log: WatchedLog, name: str = "wrong-answers") -> int:
    """How far an app says that it has come. As it is released, Faust stands still at transaction markers."""
    at = log.admin.committed(log.names.group(f"faust-{name}"), log.names.topic("outcomes"))
    return at[0].offset if at else 0


def test_offsets_keep_up_with_transactions(kafka: str, namespace: str, tmp_path: Path) -> None:
    """A gap right behind offset 0, then aborted records, then hundreds of transactions of one record each.

    As it is released, Faust commits nothing more after the first of these, and one transaction an interval of the last.
    """
    program = tmp_path / "reader.py"
    program.write_text(
        "from freshet.drift.faust import app\n"
        "from freshet.runtime.settings import load_settings\n"
        "here = app(load_settings(), 'fraud', 'reader')\n"
        "@here.agent(here.outcomes)\n"
        "async def reads(stream):\n"
        "    async for _ in stream: pass\n"
        "here.main()\n"
    )
    log = WatchedLog(kafka, namespace, tmp_path)
    log.log.errors(bernoulli(1, 400, 0.3), size=1)
    first, *rest = log.log.records
    log.write([first])
    log.write(rest[:20], aborted=True)
    log.write(rest[:20])
    with running(program, log):
        until("what lies behind the gap to be committed", lambda: committed(log, "reader") > log.last_offset())
        for one in rest[20:]:
            log.write([one])
        until("all transactions to be committed", lambda: committed(log, "reader") > log.last_offset(), 40)


_COUNTER = """\
import json
from freshet.drift.faust import app
from freshet.runtime.settings import load_settings
settings = load_settings()
here = app(settings, "fraud", "counter")
output = here.topic(f"{settings.namespace}fraud.counts", key_type=bytes, value_type=bytes, partitions=1)
state = here.Table("counts", partitions=3)

@here.agent(here.features)
async def count(stream):
    async for event in stream.events():
        at = event.message
        now = state.get(str(at.partition)) or {"next": 0, "rows": 0}
        if at.offset < now["next"]:
            continue
        now = {"next": at.offset + 1, "rows": now["rows"] + 1}
        await (await output.send(key=str(at.partition).encode(), value=json.dumps(now).encode()))
        state[str(at.partition)] = now

here.main()
"""


@pytest.mark.faults
def test_workers_that_join_leave_and_die_count_every_record_once(kafka: str, namespace: str, tmp_path: Path) -> None:
    """Partitions and their state go from one to the other under load: with the fence of docs/faust.md the counts are
    those of the topic, and each goes up by one.
    """
    programs = [tmp_path / name for name in ("a.py", "b.py")]
    for program in programs:
        program.write_text(_COUNTER)
    log = WatchedLog(kafka, namespace, tmp_path)
    topic = f"{namespace}fraud.counts"
    KafkaAdmin(kafka).create(topic, 1, {})
    producer, sent = log.bus.producer(), 0

    def send(count: int) -> None:
        nonlocal sent
        for partition in range(3):
            producer.send(Send("features", [b"card"] * count, [b"x"] * count, [partition] * count))
        sent += count

    def rows() -> dict[str, list[int]]:
        """By partition, the counts in the order of the topic, each once where it was written again."""
        found: dict[str, list[int]] = {}
        for key, value in log.records(topic):
            count = json.loads(value)["rows"]
            if count > max(found.setdefault(key.decode(), [0])):
                found[key.decode()].append(count)
        return found

    def reached(count: int) -> bool:
        return len(rows()) == 3 and min(found[-1] for found in rows().values()) >= count

    send(300)
    with running(programs[0], log):
        until("the first counts", lambda: reached(50))
        with running(programs[1], log) as leaving:
            send(300)
            until("counts beside another", lambda: reached(350), 60)
            leaving.terminate()
            leaving.wait(30)
        send(300)
        with running(programs[1], log):  # this one is killed
            until("counts beside it again", lambda: reached(700), 60)
    with running(programs[1], log):
        until("all counts", lambda: reached(sent), 90)
    assert rows() == {str(partition): list(range(sent + 1)) for partition in range(3)}


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
