"""`freshet verify`: the promises P1 and P2, judged from the topics alone."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final

import typer

from freshet.cli.checkup import hanging_line
from freshet.cli.control import published
from freshet.cli.output import (
    Bootstrap,
    Exit,
    Json,
    Namespace,
    connect,
    emit,
    reporting,
    say,
)
from freshet.cli.times import range_ms
from freshet.cli.verify.collect import collect
from freshet.cli.verify.judge import Judgement, judge
from freshet.cli.verify.report import as_document, passes, shown
from freshet.contracts.topics import TopicNames
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.transactions import find_hanging
from freshet.runtime.bus.protocol import Bus, Committed

_PAUSE_S: Final = 1.0


@reporting
def verify(
    pipeline: Annotated[str, typer.Option(help="Whose topics are judged.")],
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for inputs under way.")] = 0.0,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Judge inputs that the broker got since then: 2026-05-01T12:00Z, or 2h.")
    ] = "",
    last: Annotated[str, typer.Option(metavar="LENGTH", help="The same for a length of time until now: 1h.")] = "",
    scores: Annotated[
        int, typer.Option(min=0, metavar="N", help="Score N predictions again, from the bytes of their models.")
    ] = 0,
    bootstrap: Bootstrap = None,
    namespace: Namespace = "",
    as_json: Json = False,
) -> None:
    """Judge whether every input was answered exactly once, and by the version that its place in history demands.

    Reads what the pipeline's topics retain, even while they are written. Exits with 4 if a promise was broken, if there
    was nothing to judge, or if inputs are still under way after --wait. See docs/verify.md.
    """
    from_ms = range_ms(since, last, time.time_ns() // 1_000_000)
    connection = connect(bootstrap, namespace)
    published(connection.bus(), pipeline)  # a misspelt name would keep every promise
    bus, names = connection.bus(pipeline), connection.names(pipeline)
    judgement = _patiently(lambda: judged(bus, connection.admin, names, from_ms, scores), wait)
    emit(as_document(judgement), shown(judgement), as_json=as_json)
    if not passes(judgement, waited=wait > 0):
        raise typer.Exit(Exit.CHECK)


def judged(bus: Bus, admin: KafkaAdmin, names: TopicNames, from_ms: int | None = None, scores: int = 0) -> Judgement:
    """What the topics of the names' pipeline say of the inputs since then; open transactions are named."""
    pipeline = names.pipeline

    def committed(service: str, role: str) -> Mapping[int, Committed]:
        return admin.committed(names.group(service), names.topic(role))

    if scores:
        # it needs an extra; whoever lacks that is told before anything is read
        from freshet.cli.verify.scores import recompute  # noqa: PLC0415

        evidence = collect(bus, pipeline, committed, since_ms=from_ms)
        found = recompute(bus, evidence, scores)
        judgement = judge(evidence, found.finding, found.unjudged)
    else:
        evidence = collect(bus, pipeline, committed, since_ms=from_ms)
        judgement = judge(evidence)
    topics = [names.topic(role) for role, output in evidence.outputs.items() if output.hidden]
    return replace(judgement, warnings=(*judgement.warnings, *whose(admin, topics)))


def whose(admin: KafkaAdmin, topics: Sequence[str]) -> list[str]:
    """Sentences that name the open transactions of these topics, which were waited for already."""
    if not topics:
        return []
    lines = [hanging_line(one, time.time_ns() // 1_000_000) for one in find_hanging(admin, topics, longest_s=_PAUSE_S)]
    return [f"{line.about} is {line.seen}. To do: {line.do}." for line in lines]


def _patiently(look: Callable[[], Judgement], wait_s: float) -> Judgement:
    """The judgement once nothing is pending, or when the time is over."""
    deadline = time.monotonic() + wait_s
    while True:
        judgement = look()
        if judgement.verdict == "broken" or not judgement.pending or time.monotonic() >= deadline:
            return judgement
        say(f"{judgement.pending:,} inputs are under way …")
        time.sleep(_PAUSE_S)
