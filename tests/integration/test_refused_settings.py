"""A real Kafka that refuses a setting which `freshet apply` only wishes for: it is served without, and says so."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab import broker, server_files
from freshet.operate.requirements import REQUIREMENTS
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.admin_errors import SettingRefusedError
from freshet.runtime.topic_plan import WISHED

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

LAG = "max.compaction.lag.ms"


@pytest.fixture(scope="module")
def picky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where nothing may be compacted within two hours, Kafka refuses topics that want it within one."""
    root = tmp_path_factory.mktemp("picky")
    environ = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}
    settings = f"{server_files._SERVER_PROPERTIES}log.cleaner.min.compaction.lag.ms=7200000\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_files, "_SERVER_PROPERTIES", settings)
        try:
            yield broker.up(root, say=print, environ=environ).bootstrap_servers
        finally:
            broker.wipe(root, environ=environ)


def freshet(servers: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "freshet.cli", *arguments],
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": servers},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_kafka_says_that_it_is_the_setting(picky: str) -> None:
    """Not any other error: only then something is left out."""
    with pytest.raises(SettingRefusedError, match=r"min\.compaction\.lag\.ms"):
        KafkaAdmin(picky).create("refused", 1, {"cleanup.policy": "compact", LAG: "3600000"})


def test_apply_leaves_the_setting_out_and_says_what_follows(picky: str) -> None:
    """The other wished setting is in force, and what is missing is in no second run's way."""
    done = freshet(picky, "apply", "-f", str(pipelines_dir() / "loans"))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert f"are without {LAG}=3600000, which this cluster refuses" in warning
    assert "min.cleanable" not in warning
    planned = freshet(picky, "topics", "plan", "--json")
    assert planned.returncode == 0
    steps = json.loads(planned.stdout)
    short = [step for step in steps if step["action"] == "lacks"]
    assert {tuple(step["configs"]) for step in short} == {(LAG,)}
    assert {step["action"] for step in steps} == {"ok", "lacks"}
    configs = KafkaAdmin(picky).describe([short[0]["topic"]])[short[0]["topic"]].configs
    assert {configs[key] for key in WISHED - {LAG}} == {"0.1"}


def test_doctor_warns_of_it_and_tries_all_the_rest(picky: str) -> None:
    """It is the only thing that this cluster lacks, but for copies: it is a single broker."""
    done = freshet(picky, "doctor", "--requirements", "--json")
    found = {line["about"]: line for line in json.loads(done.stdout)}
    assert done.returncode == 0
    assert {*found} == {one.about for one in REQUIREMENTS}
    assert {about for about, line in found.items() if line["health"] != "ok"} == {"copies", "settings in force"}
    assert f"without {LAG}=3600000" in found["settings in force"]["seen"]
    assert found["settings in force"]["health"] == "warn"
