"""The command as a whole: its start-up, its parts, and how it ends."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name

import pytest
import structlog
from typer.testing import CliRunner

from freshet.cli import entry as start
from freshet.cli import main as entry
from freshet.cli.model import group
from freshet.cli.output import Exit, exit_code
from freshet.contracts.shipped import pipelines_dir
from freshet.operate.operate_error import LocalError, Meaning, OperateError

HEAVY = ("numpy", "confluent_kafka", "pydantic", "fastavro", "onnxruntime", "sklearn", "river", "lightgbm")
RUNNER = CliRunner()


def commands(*path: str) -> Iterator[list[str]]:
    """Every command and group under a path, by asking for its help as a person would."""
    yield list(path)
    shown = RUNNER.invoke(entry.app, [*path, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, f"{path}: {shown.output}"
    box = shown.output.partition("─ Commands ─")[2]
    for name in re.findall(r"^│ ([a-z-]+) ", box, re.MULTILINE):
        yield from commands(*path, name)


def test_help_imports_nothing_heavy() -> None:
    """`freshet --help` and completion stay instant: no array, Kafka or model library is loaded for them."""
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom freshet.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("library", ["typer", "confluent_kafka"])
@pytest.mark.parametrize(
    "command", [["model", "list"], ["run", "inference", "--pipelines", "loans", "--bootstrap", "127.0.0.1:1"]]
)
def test_an_interrupt_while_libraries_are_loaded_is_quiet(library: str, command: list[str], tmp_path: Path) -> None:
    """Of the command itself and of what it needs: no traceback, whatever the library makes of the interrupt."""
    stand_in = "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept BaseException as e:\n    raise {}\n"
    turned = "ImportError('cannot import') from e" if library == "typer" else "e"
    (tmp_path / f"{library}.py").write_text(stand_in.format(turned))
    path = {"PYTHONPATH": str(tmp_path)}
    line = [sys.executable, "-m", "freshet.cli", *command]
    found = subprocess.run(line, capture_output=True, text=True, check=False, env=os.environ | path)
    assert (found.returncode, found.stdout, found.stderr) == (Exit.INTERRUPTED, "", "")


def test_a_reader_that_closes_its_pipe_is_no_failure() -> None:
    """`| head -1` ends a command as it ends any other: quietly, with what a shell calls SIGPIPE."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        line = [sys.executable, "-m", "freshet.cli", "--help"]
        found = subprocess.run(line, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write_end)
    assert (found.returncode, found.stderr) == (Exit.NOBODY_READS, "")


def test_the_script_starts_where_the_module_does() -> None:
    """What is quiet in one is quiet in the other."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert resolve_name(project["scripts"]["freshet"]) is start.main


def test_every_command_there_is_can_be_asked_for_help() -> None:
    """No entry of a table points at a module or function that is gone, and none is without its help."""
    found = [" ".join(path) for path in commands()]
    assert {"run", "replay", "topic tail", "dead-letters redrive", "model promote", "verify"} <= set(found)
    assert len(found) > 30


def test_every_command_that_ends_by_itself_takes_json() -> None:
    """Those that run until they are stopped have no result to give, and an export has formats of its own."""
    found = [" ".join(path) for path in commands() if path]
    leaves = [path for path in found if not any(other.startswith(f"{path} ") for other in found)]
    without = {path for path in leaves if "--json" not in RUNNER.invoke(entry.app, [*path.split(), "--help"]).output}
    assert without == {"observe", "run", "up", "schemas serve", "trainings export"}


@pytest.mark.parametrize("table", [entry.COMMANDS, group.COMMANDS])
def test_the_help_of_a_stand_in_is_never_empty(table: Mapping[str, tuple[str, str]]) -> None:
    """The list of commands says of each what it is for, in a sentence."""
    assert all(line.endswith(".") for _, line in table.values())


def test_a_bug_is_told_in_a_sentence_and_with_debug_in_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody expected exits with 1 and says what to do; with --debug, wherever it stands, it is not hidden."""

    def broken(**_: object) -> None:
        raise ValueError("no such thing.")

    monkeypatch.setattr("typer.main.get_command", lambda _: broken)
    monkeypatch.setattr(sys, "argv", ["freshet", "topic"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 1
    assert re.match(r"error: ValueError: no such thing\..* --debug", capsys.readouterr().err)
    monkeypatch.setattr(sys, "argv", ["freshet", "topic", "--debug"])
    with pytest.raises(ValueError, match="no such thing"):
        entry.main()


def test_a_missing_extra_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plain installation without ONNX Runtime says what to install, not which module is not found."""

    def missing(**_: object) -> object:
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime.capi")

    monkeypatch.setattr("typer.main.get_command", lambda _: missing)
    monkeypatch.setattr(sys, "argv", ["freshet"])
    with pytest.raises(SystemExit):
        entry.main()
    assert "pip install 'freshet[inference]'" in capsys.readouterr().err


def test_no_kafka_anywhere_is_told_with_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder without settings the answer is what to give or start, and nothing is printed on stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    found = RUNNER.invoke(entry.app, ["verify", "--pipeline", "loans"])
    assert found.exit_code == Exit.UNREACHABLE
    assert found.stdout == ""
    assert "freshet local up" in found.stderr


def test_an_unreachable_kafka_has_an_exit_code_of_its_own() -> None:
    """Scripts can tell "nobody answers" from "something is wrong"."""
    found = RUNNER.invoke(entry.app, ["topic", "tail", "models", "--bootstrap", "127.0.0.1:1"])
    assert found.exit_code == Exit.UNREACHABLE
    assert "did not answer" in found.stderr


@pytest.mark.parametrize(("service", "pipelines"), [("inference", " , "), ("registry", "loans")])
def test_a_service_gets_pipelines_exactly_if_it_serves_some(service: str, pipelines: str) -> None:
    """Inference without a pipeline would do nothing for ever; the registry cannot be limited to one."""
    found = RUNNER.invoke(entry.app, ["run", service, "--pipelines", pipelines, "--bootstrap", "127.0.0.1:1"])
    assert found.exit_code == Exit.USAGE
    assert "pipelines" in found.stderr


@pytest.mark.parametrize("share", ["120%", "-1", "some"])
def test_a_share_that_is_none_is_refused_before_anything_is_sent(share: str, tmp_path: Path) -> None:
    """5% and 0.05 are shares; whatever is not between nothing and all of it is a usage error."""
    arguments = ["replay", str(tmp_path / "x.csv"), "--pipeline", "p", "--corrupt", share]
    found = RUNNER.invoke(entry.app, [*arguments, "--bootstrap", "127.0.0.1:1"])
    assert found.exit_code == Exit.USAGE
    assert "5% or 0.05" in found.stderr


def test_what_is_logged_on_the_way_does_not_mix_with_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    """A control record that cannot be read is logged to stderr: stdout stays the document that was asked for."""
    entry.options()
    structlog.get_logger("feed").error("control_record_refused")
    assert capsys.readouterr().out == ""


def test_of_control_records_that_cannot_be_read_a_command_tells_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever may write rubbish there fills no screen; anything else is told as often as it happens."""
    for _ in range(2):
        entry.options()
        log = structlog.get_logger("feed")
        for event in ("control_record_refused", "control_records_refused", "waiting_for_kafka", "waiting_for_kafka"):
            log.error(event)
        told = capsys.readouterr().err
        assert (told.count("control_record"), told.count("waiting_for_kafka")) == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["model", "list", "--jsn", "--json"], 2, "No such option: --jsn"),
        (["model", "check", "nowhere", "--json"], 2, "nowhere"),
    ],
)
def test_with_json_an_error_is_the_document(
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A script reads stdout alone: wrong usage and failures are there with their exit code; people read stderr."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setattr("sys.argv", ["freshet", *arguments])
    with pytest.raises(SystemExit) as end:
        entry.main()
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (end.value.code, document["exit_code"]) == (code, code)
    assert said in document["error"]
    assert said in " ".join(printed.err.split())


def test_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`freshet --version`, for bug reports."""
    monkeypatch.setattr("sys.argv", ["freshet", "--version"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert not end.value.code
    assert capsys.readouterr().out.startswith("freshet ")


@pytest.mark.parametrize(
    ("meaning", "code"), [("usage", 2), ("unreachable", 3), ("refused", 4), ("failed", 1), ("conflict", 5)]
)
def test_what_an_error_means_is_its_exit_code(meaning: Meaning, code: int) -> None:
    """As the README lists them, for scripts; a console has a table of its own."""
    assert exit_code(OperateError("it cannot be done.", meaning)) == code
    assert exit_code(LocalError("a process is gone.")) == Exit.FAILURE


@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_a_full_disk_is_told_as_what_it_is(tmp_path: Path, json_too: tuple[str, ...]) -> None:
    """No bug of Freshet's, and no traceback, though there is no room for the document of the error either."""
    command = [sys.executable, "-m", "freshet.cli", "pipeline", "check", str(pipelines_dir() / "loans"), *json_too]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 1
    assert ended.stderr.endswith(
        "\nerror: the output, or a file, cannot be written: No space left on device. Make room, and run the command "
        "again.\n"
    )


@pytest.mark.parametrize("under", ["taken/deeper", "n" * 300])
def test_a_place_that_cannot_be_written_is_no_bug(
    under: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the system refuses is told with the path, for a person to look at."""
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["freshet", "pipeline", "new", "loans", "--dir", str(tmp_path / under)])
    with pytest.raises(SystemExit, match="1"):
        entry.main()
    told = capsys.readouterr().err
    assert f"{tmp_path / under}" in told
    assert "cannot be used" in told
    assert "bug" not in told


def test_no_expected_rate_is_beyond_counting() -> None:
    """Infinity, and what becomes it in a product, were a bug of Freshet's."""
    ended = RUNNER.invoke(entry.app, ["pipeline", "check", str(pipelines_dir() / "loans"), "--events-per-s", "inf"])
    assert ended.exit_code == 2


def test_a_closed_stdin_and_a_locale_without_our_letters_are_no_bugs(tmp_path: Path) -> None:
    """As a job of cron may start a command: stdin is closed, and the locale is C."""
    strict = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    line = "import sys; sys.stdin = None; from freshet.cli import main as m; m._make_streams_safe(); "
    line += "print(chr(0x2192), repr(sys.stdin.read()))"
    ended = subprocess.run([sys.executable, "-c", line], capture_output=True, env=strict, cwd=tmp_path, check=False)
    assert ended.stdout == b"\\u2192 ''\n"
