"""The demo: sets everything up, tells the story, judges it, and says in plain words what happened."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from freshet.contracts.shipped import pipelines_dir
from freshet.lab import broker
from freshet.lab.demo import loans
from freshet.lab.demo.leaving import leave, look_around
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.outcome import Found, as_result
from freshet.lab.demo.story import Story
from freshet.lab.local_deployment import LocalDeployment
from freshet.lab.logins import Logins
from freshet.operate.verify.judgement import passes

_CONCLUSION: Final = """\
  A stream was served by models that arrived as data. Late labels said how good each was. When the world changed, an
  alarm said since when, a new model learned from what came since then, was found better than the one that answered,
  and took over by itself. One model was rolled back to. Each of them answered from recorded offsets on, without a
  pause; killed workers lost nothing and repeated nothing; damaged events were set aside with their reasons; a broken
  model was refused before anyone asked it."""


def tell_demo(
    narrator: Narrator,
    home: Path,
    *,
    stay: bool,
    secure: bool = False,
    on_result: Callable[[dict[str, Any]], None] | None = None,
) -> bool:
    """Run the demo on the local broker of the folder `home`, which is started if need be: with `secure` one that asks
    for TLS, passwords and rights.

    Returns whether every promise was kept, drift was seen and learned from, and its alarms come again; `on_result` is
    given what was found.
    The topics go at the end, unless it is not good or `stay` keeps them; with `stay` the services run on until an
    interrupt.
    """
    began = time.monotonic()
    narrator.chapter("A real Kafka, a pipeline, and its services")
    endpoint = broker.up(home, say=narrator.line, secure=secure)
    narrator.line(f"Kafka answers at {endpoint.bootstrap_servers}")
    logins = Logins.at(home, endpoint)
    namespace = f"demo{int(time.time())}."
    logs = Path(".local/logs") / namespace.rstrip(".")
    folder = loans.folder_with_retraining(pipelines_dir() / "loans", home / ".local/pipelines/loans-demo")
    with LocalDeployment(endpoint.bootstrap_servers, namespace, folder, logs, logins=logins) as deployment:
        deployment.apply()
        narrator.line(f"topics made and pipeline loans published, under the prefix {namespace}")
        if logins.ours is not None:
            narrator.line("it asks for TLS and a password; each service is a user of its own, with the rights it needs")
        deployment.start()
        narrator.line(f"started {', '.join(deployment.services)}; their logs are in {logs}")
        console = deployment.open_console() if stay else None
        if console is not None:
            narrator.line(f"watch it: {console.address}/pipelines/{deployment.spec.pipeline}")
            narrator.line(f"to act there, enter the token {console.token}")
        found = _tell(Story(deployment, narrator))
        narrator.chapter("What happened")
        narrator.text(f"{_CONCLUSION}\n  All of it took {time.monotonic() - began:.0f} s.")
        if on_result is not None:
            on_result(as_result(deployment, endpoint.bootstrap_servers, found))
        if stay:
            look_around(narrator, deployment, endpoint.bootstrap_servers, console)
    good = passes(found.judgement, waited=True) and bool(found.quality.series) and bool(found.alarms)
    good = good and found.again.good and any(run.last.gate == "pass" for run in found.trainings)
    if good and not stay:
        deployment.forget_rights()
    leave(narrator, endpoint.bootstrap_servers, deployment.names, keep=stay or not good)
    return good


def _tell(story: Story) -> Found:
    second = story.until_recovered()
    story.kill_workers()
    story.bad_model()
    story.roll_back(second)
    return story.judge()
