"""`freshet quality`: tables, chart, page and document from the evaluations on a bus in memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from freshet.avro.control import encode
from freshet.cli import quality as command
from freshet.cli.main import app
from freshet.cli.output import Exit
from freshet.contracts.evaluation_message import Evaluation
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Cutover, Message, ModelVersion, Rollout, Share
from freshet.contracts.topic_table import TopicNames
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.quality import chart
from freshet.operate.quality.estimated import Estimate
from freshet.operate.quality.page import page
from freshet.operate.quality.quality_tables import rows
from freshet.operate.quality.series_quality import Evaluations, Quality, quality
from freshet.quality.fold import evaluations
from freshet.quality.setting import SliceRange
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from support.evaluating import pipeline_record
from support.frames import ProfileLog
from support.outcomes import cut, rows_of, setting
from support.registry import candidate

NAMES = TopicNames("", "")
SETTINGS = {1: setting(slices=[SliceRange("big", 1, 0.5, np.inf)])}


def said(*, classes: tuple[str, ...] = ("no", "yes"), pipeline: str = "p") -> list[Evaluation]:
    """Of 1,500 rows: version 1.0.0 is right in three of four, version 1.0.1 always."""
    at = np.arange(1500)
    rows = rows_of(
        1500,
        versions=("1.0.0", "1.0.1"),
        version=at // 750,
        label=at % 2,
        answer=np.where((at < 750) & (at % 4 == 0), 1 - at % 2, at % 2),
        values=np.ones((1500, 2), np.float32),
    )
    if not classes:
        scores = np.full((1500, 1), 2, np.float32)
        rows = rows_of(1500, label=-1, answer=-1, truth=at % 3 * 1.0, scores=scores)
    numbered = SETTINGS if classes else {1: setting(classes=())}
    found = evaluations(enumerate(cut(rows)), numbered)
    return [one.model_copy(update={"pipeline": pipeline}) for one in found]


@dataclass
class World:
    """A bus in memory behind the command."""

    bus: MemoryBus

    def write(self, role: str, *messages: tuple[str, Message]) -> None:
        """Append control records."""
        keys = [key.encode() for key, _ in messages]
        self.bus.producer().send(Send(role, keys, [encode(message) for _, message in messages]))

    def tell(self, found: list[Evaluation]) -> None:
        """Append evaluations."""
        self.write("evaluations", *((one.pipeline, one) for one in found))

    def run(self, *arguments: str) -> Result:
        """The command with these arguments."""
        return CliRunner().invoke(app, ["quality", "--pipeline", "p", *arguments])

    def document(self, *arguments: str) -> dict[str, Any]:
        """What it prints with --json."""
        result = self.run("--json", *arguments)
        found: dict[str, Any] = json.loads(result.stdout)
        return found


class _Connection:
    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def bus(self, pipeline: str = "") -> MemoryBus:
        """The one there is."""
        return self._bus.of_pipeline(pipeline) if pipeline else self._bus


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """With the pipeline published, and nothing evaluated."""
    cluster = MemoryCluster()
    cluster.ensure(NAMES, 1, ("pipelines", "models", "rollouts", "cutovers", "workers", "evaluations"))
    made = World(MemoryBus(cluster, NAMES))
    monkeypatch.setattr(command, "connect", lambda bootstrap, namespace: _Connection(made.bus))
    made.write("pipelines", ("p/1", pipeline_record()))
    return made


def ledger() -> PipelineLedger:
    """Epoch 2 made 1.0.1 live at row 750; each version promised something."""
    made = PipelineLedger("p")
    for epoch, version, at_ms in ((1, "1.0.0", 0), (2, "1.0.1", 750_000)):
        manifest = candidate(version).manifest.model_copy(update={"pipeline": "p", "metrics": {"accuracy": 0.9}})
        model = ModelVersion(pipeline="p", version=version, state="admitted", reason="", manifest=manifest)
        table = (Share(version=version, share=10_000),)
        live = Rollout(pipeline="p", epoch=epoch, phase="live", table=table, salt="p", cause="promote")
        cutover = Cutover(
            pipeline="p",
            lane="serve",
            topic_id="t",
            partition=0,
            first_offset=at_ms,
            epoch=epoch,
            fallback=0,
            cause="live",
        )
        made.fold(Fact("models", f"p/{version}", model, at_ms))
        made.fold(Fact("rollouts", f"p/{epoch}", live, at_ms))
        made.fold(Fact("cutovers", f"p/0/{epoch}", cutover, at_ms))
    return made


def of(found: list[Evaluation], **options: Any) -> Quality:
    """What is to be shown of these."""
    return quality(found, ledger(), **options)


def test_a_retrained_version_promises_its_own_figures_in_a_few_words() -> None:
    """Retraining also measures the champion, intervals and each slice: those are in `--json`."""
    metrics = {"candidate.accuracy": 0.9, "candidate.accuracy.low": 0.8, "champion.accuracy": 0.7}
    metrics |= {"candidate.slice.big.accuracy": 0.6, "baseline.no_change.accuracy": 0.5}
    found = of(said())
    served = replace(found.series[0], promised=metrics)
    assert rows(replace(found, series=(served,)))[0][-1] == "accuracy 0.9"


def test_each_series_is_added_up_with_its_interval_and_what_was_promised() -> None:
    """Served first, then versions by number, slices and baselines."""
    found = of(said())
    assert [one.name for one in found.series] == [
        "served",
        "version:1.0.0",
        "version:1.0.1",
        "slice:big",
        "baseline:majority",
        "baseline:no_change",
    ]
    served, old, new = found.series[:3]
    assert (served.counts.rows, served.metrics.accuracy) == (1500, 1312 / 1500)
    assert (old.counts.rows, old.promised) == (750, {"accuracy": 0.9})
    assert new.metrics.accuracy == 1.0
    assert new.metrics.accuracy_interval[0] == pytest.approx(0.9949, abs=1e-4)


def test_the_chart_marks_cut_overs_between_the_points_before_and_behind() -> None:
    """The seventh of twelve columns begins with the epoch's first prediction; values are drawn from low to high."""
    found = of(said())
    told = chart.lines(found, 72)
    assert told[0] == "accuracy over time, from 0.0% (▁) to 100.0% (█)"
    served = next(line for line in told if line.startswith("served"))
    marks = next(line for line in told if line.startswith("cut-overs"))
    assert marks.index("^") == served.index("█")
    assert told[-1] == "^ from left to right: epoch 2 (1.0.1)"


def test_series_that_begin_later_are_drawn_below_the_same_rows() -> None:
    """Nothing was known at first: there is a gap."""
    drawn = chart.courses(of([one for one in said() if one.series == "served" or one.first_row >= 500]), 72)
    assert [len(points) for points in drawn.values()] == [6, 6, 6]
    assert np.isnan([point.value for point in drawn["baseline:majority"]][:2]).all()


def test_neighbours_are_added_up_where_a_chart_is_narrow() -> None:
    """Counts add up, so no point is left out."""
    drawn = chart.courses(of(said()), 2)
    assert [round(point.value, 4) for point in drawn["served"]] == [0.7493, 1.0]


def test_the_page_holds_everything_and_asks_for_nothing() -> None:
    """Tables, a line for each series, the cut-over; no script, nothing from elsewhere; names are escaped."""
    found = of(said())
    text = page(Quality("<p>", *(getattr(found, name) for name in ("view", "classes", "series", "cuts"))), "now")
    assert text.count("<polyline") == 3
    assert "epoch 2: 1.0.1" in text
    assert "&lt;p&gt;" in text
    assert "<p>&" not in text
    assert not any(word in text for word in ("<script", "http", "src=", "url("))


def test_a_regression_has_errors_instead(world: World) -> None:
    """In the table, the chart and the page."""
    world.tell(said(classes=()))
    result = world.run()
    assert result.exit_code == 0
    assert "MAE" in result.stdout
    assert "accuracy" not in result.stdout
    assert "mean absolute error over time" in result.stdout
    (served,) = (one for one in world.document()["series"] if one["series"] == "served")
    assert served["mae"] == pytest.approx(1.0)
    assert served["accuracy"] is None
    assert "<polyline" in page(of(said(classes=())), "now")


def test_the_command_shows_tables_a_chart_and_writes_a_page(world: World, tmp_path: Path) -> None:
    """Also classes one by one."""
    world.tell(said())
    result = world.run("--html", str(tmp_path / "quality.html"))
    assert result.exit_code == 0
    for part in ("served", "version:1.0.1", "slice:big", "baseline:no_change", "95 %", "kappa", "AUC", "1,500"):
        assert part in result.stdout
    assert (tmp_path / "quality.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "class" in result.stdout
    lost = world.run("--html", str(tmp_path / "away" / "quality.html"))
    assert lost.exit_code == Exit.USAGE
    assert "There is no folder" in lost.stderr


def test_series_and_time_are_chosen(world: World) -> None:
    """By name, and by when ranges end."""
    found = said()
    world.tell(found)
    assert [one["series"] for one in world.document("--series", "served")["series"]] == ["served"]
    later = of(found, names=("served",), since_ms=1_000_000)
    assert later.series[0].counts.rows == 500


def test_the_share_labelled_is_that_of_ranges_that_are_done() -> None:
    """Unknown as long as none is."""
    found = said()
    assert np.isnan(of(found).series[0].labelled)
    done = next(one for one in found if one.series == "served").model_copy(
        update={"view": "closed", "predictions": 500}
    )
    assert of([*found, done]).series[0].labelled == 0.5
    assert of([*found, done], view="closed").series[0].counts.rows == 250


@pytest.mark.parametrize("arguments", [(), ("--series", "version:9.9.9")])
def test_where_nothing_is_there_a_sentence_says_why(world: World, arguments: tuple[str, ...]) -> None:
    """Nobody evaluates, or there is no such series. Exit code 4, also with --json."""
    if arguments:
        world.tell(said())
    result = world.run(*arguments)
    assert result.exit_code == 4
    expected = "There are evaluations of" if arguments else "Start it with `freshet run drift --pipelines p`"
    assert expected in result.stdout.replace("\n", " ")
    assert expected in world.document(*arguments)["why_nothing"]


def test_evaluations_of_a_pipeline_that_had_the_name_before_do_not_count() -> None:
    """Its rows begin anew; other pipelines' are left out."""
    found = Evaluations("p")
    records = [*said(), *said(pipeline="other"), *said()]
    found.take(Fact("evaluations", one.pipeline, one) for one in records)
    assert found.records == said()


def test_what_contradicts_itself_is_refused(world: World) -> None:
    """A document has an end, and there are two views."""
    assert world.run("--json", "--watch").exit_code == 2
    assert world.run("--view", "sideways").exit_code == 2


def test_an_estimate_is_of_all_answers_that_profiles_hold_or_since_a_moment(world: World, tmp_path: Path) -> None:
    """Without `--since` of all time; the page says which it is."""
    log = ProfileLog(rate=1.0)
    log.answers(np.full(2048, 0.9), version="1.0.0")
    log.answers(np.full(1024, 0.6), version="1.0.1")
    frames = [("f", one.frame.model_copy(update={"pipeline": "p"})) for one in log.frames]
    world.tell(said())
    world.bus.cluster.ensure(TopicNames("", "p"), 1, ("profiles",))
    of_pipeline = world.bus.of_pipeline("p")
    of_pipeline.producer().send(Send("profiles", [b"f"] * len(frames), [encode(one) for _, one in frames]))
    file = tmp_path / "quality.html"

    def answers(*arguments: str) -> dict[str, int]:
        assert world.run("--html", str(file), *arguments).exit_code == 0
        versions = world.document(*arguments)["estimated"]["versions"]
        return {one["version"]: one["answers"] for one in versions}

    assert answers() == {"1.0.0": 2048, "1.0.1": 1024}
    assert "Answers of all time that is kept" in file.read_text()
    assert answers("--since", "1970-01-01T00:00:01Z") == {"1.0.0": 2048, "1.0.1": 1024}
    assert "Answers since then" in file.read_text()


def test_a_page_that_is_watched_estimates_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What profiles count meanwhile is taken in; it stayed what it was at the start."""
    log = ProfileLog(rate=1.0)
    log.answers(np.full(2048, 0.9), version="1.0.0")
    values = [encode(one.frame.model_copy(update={"pipeline": "p"})) for one in log.frames]
    world.tell(said())
    world.bus.cluster.ensure(TopicNames("", "p"), 1, ("profiles",))
    producer = world.bus.of_pipeline("p").producer()
    producer.send(Send("profiles", [b"f"], values[:1]))
    seen: list[int] = []

    def shown(by_time: Sequence[tuple[str, Sequence[Estimate]]]) -> list[str]:
        ((_, found),) = by_time
        seen.append(sum(one.answers for one in found))
        if len(seen) == 2:
            raise KeyboardInterrupt
        producer.send(Send("profiles", [b"f"] * len(values[1:]), values[1:]))
        return []

    monkeypatch.setattr(command, "estimate_parts", shown)
    monkeypatch.setattr(command, "_AGAIN_S", 0.01)
    assert world.run("--watch").exit_code == 0
    assert seen == [1024, 2048]
