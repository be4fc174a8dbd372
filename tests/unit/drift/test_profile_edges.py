"""Edges are chosen by somebody, once, from the first rows, and everybody counts between them."""

import json
from random import Random
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner, Result

from freshet.cli import profile_command as cli
from freshet.cli.output import Exit
from freshet.contracts.logic import Announce, Effect, Fact
from freshet.contracts.profile_messages import Edges
from freshet.contracts.topic_table import TopicNames
from freshet.drift.core.profile.profile_logic import ProfileLogic
from freshet.drift.service import PROFILE
from freshet.operate.operate_error import OperateError
from freshet.operate.profile.edges_change import edges_from_newest, edges_rows
from freshet.operate.profile_log import facts_of
from freshet.pipeline import PipelineSpec
from freshet.profiles.bin_edges import BinEdges
from freshet.testing.memory_pipeline import MemoryPipeline
from support.join_world import PIPELINE, pipeline_record
from support.profile_world import ProfileWorld, feature_vector

HOUR_MS = 3_600_000


def stage(partitions: int) -> tuple[MemoryPipeline, ProfileWorld]:
    """A pipeline in memory."""
    names = TopicNames("", PIPELINE)
    pipeline = MemoryPipeline(
        PROFILE.name, partitions=partitions, references=PROFILE.clues, names=names, batch_rows=5000
    )
    return pipeline, ProfileWorld(pipeline.bus, partitions)


def vectors(seed: int, count: int) -> list[bytes | None]:
    """So many feature vectors."""
    chance = Random(seed)
    return [feature_vector((chance.gauss(0, 1), chance.random())) for _ in range(count)]


def test_rows_that_come_with_the_end_of_their_frame_still_give_edges() -> None:
    """Hours pass between a few rows: the batch in which enough of them came has closed their frames, too."""
    pipeline, world = stage(1)
    for hour in range(30):
        pipeline.send("features", [b"card"] * 20, vectors(hour, 20))
        pipeline.pass_time(HOUR_MS)
    pipeline.turn(pipeline.loop(ProfileLogic(PIPELINE)), times=20)
    assert len(world.edges()) == 2  # those of answers are fixed


def test_partitions_that_choose_at_once_count_between_the_same_edges() -> None:
    """The first record of them is in force, also for whoever wrote the second."""
    pipeline, world = stage(3)
    workers = [pipeline.loop(ProfileLogic(PIPELINE), slot=slot, fixed=False) for slot in "012"]
    pipeline.turn(*workers, times=10)
    for partition in range(3):
        pipeline.send("features", [b"card"] * 3000, vectors(partition, 3000), partition)
    pipeline.turn(*workers, times=60)
    records = pipeline.messages("edges", Edges)
    frames = world.frames()
    assert len(frames) >= 6
    assert {frame.edges for frame in frames} == {records[0].id}
    world.check_frames()


def test_rows_wider_than_the_specification_wait_for_a_newer_one() -> None:
    """Also where the answers of the pipeline have as many columns as those rows: two features are not three answers."""
    pipeline, world = stage(1)
    loop = pipeline.loop(ProfileLogic(PIPELINE))
    pipeline.send("features", [b"card"] * 2000, vectors(1, 2000))
    pipeline.send("features", [b"card"], [feature_vector((1.0, 2.0, 3.0))])
    pipeline.send("features", [b"card"] * 2000, vectors(2, 2000))
    pipeline.turn(loop, times=30)
    assert "rows have 3 features" in (loop.unready() or "")
    assert sum(frame.rows for frame in world.frames()) < 2000
    assert all(len(frame.names) == 2 for frame in world.frames())


def test_edges_of_a_deleted_pipeline_are_nobodys() -> None:
    """What is published under its name later chooses its own, also while the old record is not compacted away."""
    before, _ = stage(1)
    before.send("features", [b"card"] * 2000, vectors(1, 2000))
    before.turn(before.loop(ProfileLogic(PIPELINE)), times=20)
    (old,) = before.messages("edges", Edges)
    pipeline, world = stage(1)
    key = f"{PIPELINE}/features/old/0"
    pipeline.tell("edges", key, old)
    pipeline.send("edges", [key.encode()], [None])
    pipeline.send("features", [b"card"] * 3000, [feature_vector((50.0 + at % 7, at % 3)) for at in range(3000)])
    pipeline.turn(pipeline.loop(ProfileLogic(PIPELINE)), times=20)
    assert {frame.edges for frame in world.frames()} == {pipeline.messages("edges", Edges)[-1].id} != {old.id}


def test_edges_that_were_written_are_not_chosen_again() -> None:
    """A rewind before they are read back: the second record would change their place in the topic once it is compacted.
    Those of a transaction that came to nothing are chosen again.
    """
    pipeline, _ = stage(1)
    pipeline.send("features", [b"card"] * 600, vectors(1, 600))
    (batch,) = pipeline.read("features")
    logic = ProfileLogic(PIPELINE)
    logic.fold(Fact("pipelines", f"{PIPELINE}/1", pipeline_record("{}")))
    logic.on_topic("features", pipeline.bus.topic_id("features"))

    def answered() -> list[Effect]:
        logic.on_assign("features", 0, "")
        logic.begin(0)
        return [one for one in logic.on_batch(batch) if isinstance(one, Announce) and one.role == "edges"]

    assert len(answered()) == 1
    logic.discarded(0)
    assert len(answered()) == 1
    logic.committed(0)
    assert answered() == []
    assert "on their way back" in logic.waits("features", 0)


def test_edges_that_a_command_chose_hold_for_what_comes_then() -> None:
    """Of rows that no first row foretold: the newest ones decide, and frames name which edges are theirs."""
    pipeline, world = stage(1)
    loop = pipeline.loop(ProfileLogic(PIPELINE))
    spec = PipelineSpec.parse(pipeline_record("{}").spec)
    with pytest.raises(OperateError, match="holds 0 rows with 2 columns"):
        edges_from_newest(pipeline.bus, spec, "features", rows=500)
    with pytest.raises(OperateError, match="has the partitions 0 to 0, and no 7"):
        edges_from_newest(pipeline.bus, spec, "features", rows=500, partition=7)
    with pytest.raises(OperateError, match="are fixed"):
        edges_from_newest(pipeline.bus, spec, "answers", rows=500)
    pipeline.send("features", [b"card"] * 2500, vectors(1, 2500))
    pipeline.turn(loop, times=20)
    pipeline.send("features", [b"card"] * 2500, [feature_vector((900.0 + at, at % 3)) for at in range(2500)])
    key, record = edges_from_newest(pipeline.bus, spec, "features", rows=500)
    assert (record.from_offset, record.to_offset, record.rows) == (4500, 5000, 500)
    assert BinEdges.of(record).centre[0] == 900 + 2249.5
    pipeline.tell("edges", key, record)
    pipeline.turn(loop, times=20)
    before, after = {one.edges for one in world.frames()[:2]}, {one.edges for one in world.frames()[3:]}
    assert after == {record.id} != before
    assert sum(one.rows for one in world.frames()) > 4000, "none is missing between"
    facts = facts_of(pipeline.bus, PIPELINE)
    assert [row[3:5] for row in edges_rows(facts.book)] == [["no", "its first rows"], ["yes", "a command"]]


def test_the_command_shows_edges_and_writes_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it writes is what it then shows as in force; a kind that there is not is refused."""
    pipeline, _ = stage(1)
    pipeline.send("features", [b"card"] * 1500, vectors(3, 1500))
    pipeline.turn(pipeline.loop(ProfileLogic(PIPELINE)), times=20)
    spec = PipelineSpec.parse(pipeline_record("{}").spec)
    monkeypatch.setattr(cli, "connect", lambda *_: SimpleNamespace(bus=lambda _name: pipeline.bus))
    monkeypatch.setattr(cli, "published", lambda *_: SimpleNamespace(spec=spec))
    app = typer.Typer()
    app.add_typer(cli.app, name="profile")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["profile", "edges", "--pipeline", PIPELINE, *arguments])

    assert [one["chosen by"] for one in json.loads(run("--json").stdout)] == ["its first rows"]
    chosen = json.loads(run("--choose", "--rows", "1000", "--json").stdout)
    assert [(one["chosen by"], one["in force"]) for one in chosen] == [("its first rows", "no"), ("a command", "yes")]
    assert chosen[1]["id"] == pipeline.messages("edges", Edges)[-1].id
    assert run("--choose", "--kind", "labels").exit_code == Exit.USAGE
