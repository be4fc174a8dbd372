"""`freshet demo`: sets everything up, tells the story, judges it, and says in plain words what happened."""

import time
from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.demo.leaving import leave, look_around
from freshet.cli.demo.narrator import Narrator
from freshet.cli.demo.outcome import as_result
from freshet.cli.demo.story import Story
from freshet.cli.output import Exit, Json, emit, reporting
from freshet.cli.score.core import Scoring
from freshet.cli.verify.judge import Judgement
from freshet.cli.verify.report import passes
from freshet.contracts.resources import pipelines_dir
from freshet.lab import broker
from freshet.lab.stage import Stage


@reporting
def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running until Ctrl-C, and its topics.")] = False,
    as_json: Json = False,
) -> None:
    """Serve a stream with models that arrive as data, on a real Kafka: publish, swap, kill, refuse, roll back, verify.

    Takes less than a minute once everything is installed. Each run has topics of its own, which go at its end if every
    promise was kept; else it exits with 4. With --json the story goes to stderr, and what verify and score found to
    stdout.
    """
    narrator = Narrator(stderr=as_json)
    began = time.monotonic()
    narrator.chapter("A real Kafka, a pipeline, and its services")
    endpoint = broker.up(Path.cwd(), say=narrator.line)
    narrator.line(f"Kafka answers at {endpoint.bootstrap_servers}")
    namespace = f"demo{int(time.time())}."
    logs = Path(".local/logs") / namespace.rstrip(".")
    with Stage(endpoint.bootstrap_servers, namespace, pipelines_dir() / "loans", logs) as stage:
        stage.apply()
        narrator.line(f"topics made and pipeline [bold]loans[/bold] published, under the prefix {namespace}")
        stage.start()
        narrator.line(f"started {', '.join(stage.services)}; their logs are in {logs}")
        judgement, scores = _tell(Story(stage, narrator))
        narrator.chapter("What happened")
        _conclude(narrator, time.monotonic() - began)
        if as_json:
            emit(as_result(stage, endpoint.bootstrap_servers, judgement, scores), "", as_json=True)
        if stay:
            look_around(narrator, stage, endpoint.bootstrap_servers)
    good = passes(judgement, waited=True)
    leave(narrator, endpoint.bootstrap_servers, stage.names, keep=stay or not good)
    if not good:
        raise typer.Exit(Exit.CHECK)


def _tell(story: Story) -> tuple[Judgement, Scoring]:
    story.begin_load()
    first = story.first_model()
    story.second_model()
    story.kill_a_worker()
    story.bad_model()
    story.roll_back(first)
    judgement = story.judge()
    return judgement, story.look_back()


def _conclude(narrator: Narrator, took_s: float) -> None:
    say = narrator.console.print
    say(
        "  A stream was served by models that arrived as data. Two models took over and one was rolled back to, each at"
    )
    say(
        "  recorded offsets and without a pause; a killed worker lost nothing and repeated nothing; damaged events were"
    )
    say("  set aside with their reasons; a broken model was refused before anyone asked it.")
    say(f"  All of it took {took_s:.0f} s.")
