"""The demo: sets everything up, tells the story, judges it, and says in plain words what happened."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from freshet.contracts.resources import pipelines_dir
from freshet.lab import broker
from freshet.lab.demo.leaving import leave, look_around
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.outcome import as_result
from freshet.lab.demo.story import Story
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.score.arithmetic import Scoring
from freshet.operate.verify.judge import Judgement
from freshet.operate.verify.judgement import passes

_CONCLUSION: Final = """\
  A stream was served by models that arrived as data. Two models took over and one was rolled back to, each at
  recorded offsets and without a pause; a killed worker lost nothing and repeated nothing; damaged events were
  set aside with their reasons; a broken model was refused before anyone asked it."""


def tell_demo(
    narrator: Narrator, home: Path, *, stay: bool, on_result: Callable[[dict[str, Any]], None] | None = None
) -> bool:
    """Run the demo on the local broker of the folder `home`, which is started if need be.

    Returns whether every promise was kept; `on_result` is given what `verify` and `score` found. The demo's topics go
    at the end, unless a promise was broken or `stay` keeps them; with `stay` the services run on until an interrupt.
    """
    began = time.monotonic()
    narrator.chapter("A real Kafka, a pipeline, and its services")
    endpoint = broker.up(home, say=narrator.line)
    narrator.line(f"Kafka answers at {endpoint.bootstrap_servers}")
    namespace = f"demo{int(time.time())}."
    logs = Path(".local/logs") / namespace.rstrip(".")
    with LocalDeployment(endpoint.bootstrap_servers, namespace, pipelines_dir() / "loans", logs) as deployment:
        deployment.apply()
        narrator.line(f"topics made and pipeline loans published, under the prefix {namespace}")
        deployment.start()
        narrator.line(f"started {', '.join(deployment.services)}; their logs are in {logs}")
        judgement, scores = _tell(Story(deployment, narrator))
        narrator.chapter("What happened")
        narrator.text(f"{_CONCLUSION}\n  All of it took {time.monotonic() - began:.0f} s.")
        if on_result is not None:
            on_result(as_result(deployment, endpoint.bootstrap_servers, judgement, scores))
        if stay:
            look_around(narrator, deployment, endpoint.bootstrap_servers)
    good = passes(judgement, waited=True)
    leave(narrator, endpoint.bootstrap_servers, deployment.names, keep=stay or not good)
    return good


def _tell(story: Story) -> tuple[Judgement, Scoring]:
    story.begin_load()
    first = story.first_model()
    story.second_model()
    story.kill_a_worker()
    story.bad_model()
    story.roll_back(first)
    judgement = story.judge()
    return judgement, story.look_back()
