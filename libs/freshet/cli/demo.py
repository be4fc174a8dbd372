"""`freshet demo`: the shipped story, told on a screen."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from freshet.cli.output import Exit, Json, Secure, emit, reporting
from freshet.cli.screen_narrator import ScreenNarrator
from freshet.lab.demo.telling import tell_demo
from freshet.lab.ended_run import stops_its_broker


@reporting
def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running until Ctrl-C, and its topics.")] = False,
    secure: Secure = False,
    as_json: Json = False,
) -> None:
    """Serve a stream with models that arrive as data, on a real Kafka: publish, swap, kill, refuse, roll back, verify.

    Labels come late and say how good each version is; then the world changes, an alarm says since when, and a new model
    learns from what came since then, passes its gate and answers, by itself.
    Takes one to two minutes once everything is installed. Each run has topics of its own, which go at its end if every
    promise was kept, the change was learned, and a replay gives the same alarms; else it exits with 4. If it is told to
    end before, by Ctrl-C, SIGTERM or a closed terminal, it stops the Kafka that it started. With --json the story goes
    to stderr, and what verify, quality, alarms, trainings and score found to stdout.
    """
    on_result = partial(emit, shown="", as_json=True) if as_json else None
    narrator, home = ScreenNarrator(stderr=as_json), Path.cwd()
    with stops_its_broker(home, say=narrator.text):
        good = tell_demo(narrator, home, stay=stay, secure=secure, on_result=on_result)
    if not good:
        raise typer.Exit(Exit.CHECK)
