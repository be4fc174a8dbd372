"""Judges a pipeline on a cluster: collects the evidence, judges it, and names who hides what from it."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from freshet.contracts.topic_table import TopicNames
from freshet.operate.checkup import hanging_line
from freshet.operate.connection import Connection
from freshet.operate.facts import ledger_of
from freshet.operate.patience import missing_model
from freshet.operate.verify.collect import collect
from freshet.operate.verify.drift.drift_judge import judge_drift
from freshet.operate.verify.judge import Judgement, judge
from freshet.operate.verify.retraining.training_judge import judge_retraining
from freshet.operate.verify.signatures import unasked
from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.transactions import find_hanging
from freshet.runtime.bus.protocol import Bus, Committed

if TYPE_CHECKING:
    from freshet.trust.trusted_keys import TrustedKeys

_PAUSE_S: Final = 1.0
_STEPS: Final = 3
_INPUTS: Final = ("events", "feedback", "features")
_OF_DRIFT: Final = ("labels", "outcomes", "profiles", "evaluations", "alarms")

During = Callable[[Callable[[], str]], AbstractContextManager[None]]
"""Whoever is told what is waited for, while it lasts: what it asks for stands behind "for", and costs requests."""


def quietly(_: Callable[[], str]) -> AbstractContextManager[None]:
    """Tells nobody."""
    return nullcontext()


def judge_pipeline(
    connection: Connection,
    pipeline: str,
    *,
    from_ms: int | None = None,
    scores: int = 0,
    wait_s: float = 0.0,
    keys: "TrustedKeys | None" = None,
    during: During = quietly,
) -> Judgement:
    """The judgement of what the pipeline's topics retain; waits up to so long for inputs that are under way.

    `from_ms`: only of inputs that the broker got since then; `scores`: so many predictions are scored again;
    `keys`: whose signatures count, where the pipeline demands them; `during` is told each step.
    """
    bus, names = connection.bus(pipeline), connection.names(pipeline)
    deadline = time.monotonic() + wait_s
    while True:
        judgement = judged(
            bus,
            connection.admin,
            names,
            from_ms,
            scores,
            keys=keys,
            known_login=connection.known_login,
            during=during,
        )
        missing = missing_model(ledger_of(connection.bus(), "rollouts"), pipeline) if judgement.pending else ""
        if missing:
            judgement = replace(judgement, warnings=(*judgement.warnings, missing))
        if judgement.verdict == "broken" or not judgement.under_way or time.monotonic() >= deadline:
            return judgement
        connection.say(f"{judgement.under_way:,} inputs are under way … {missing}".rstrip())
        time.sleep(_PAUSE_S)


def judged(
    bus: Bus,
    admin: KafkaAdmin,
    names: TopicNames,
    from_ms: int | None = None,
    scores: int = 0,
    *,
    keys: "TrustedKeys | None" = None,
    known_login: str = "",
    during: During = quietly,
) -> Judgement:
    """What the topics of the names' pipeline say of the inputs since then; open transactions are named.

    `known_login` is FRESHET_SCHEMA_REGISTRY.
    """
    pipeline = names.pipeline

    def committed(service: str, role: str) -> Mapping[int, Committed]:
        return admin.committed(names.group(service), names.topic(role))

    if scores:
        # it needs an extra; whoever lacks that is told before anything is read
        from freshet.operate.verify import scores as scoring  # noqa: PLC0415

    with during(lambda: _step(1, f"inputs and answers: {_records(bus, 'predictions', *_INPUTS)} are read")):
        evidence = collect(bus, pipeline, committed, since_ms=from_ms, keys=keys, known_login=known_login)
        if scores:
            found = scoring.recompute(bus, evidence, scores)
            judgement = judge(evidence, found.finding, found.unjudged)
        else:
            judgement = judge(evidence)
    with during(lambda: _step(2, f"labels, profiles, quality and alarms: {_records(bus, *_OF_DRIFT)} are read")):
        drift = judge_drift(bus, pipeline, committed, since_ms=from_ms, scores=scores)
    with during(lambda: _step(3, f"trainings: {_records(bus, 'trainings')} are read, with the rows that they name")):
        loop = judge_retraining(bus, pipeline, with_figures=scores > 0)
    topics = [names.topic(role) for role, output in evidence.outputs.items() if output.hidden]
    topics += [names.topic(role) for role in (*drift.hidden, *loop.hidden)]
    return replace(
        judgement,
        findings=(*judgement.findings, *drift.findings, *loop.findings),
        unjudged=(*judgement.unjudged, *drift.unjudged, *loop.unjudged),
        warnings=(
            *judgement.warnings,
            *unasked(evidence.history, keys),
            *drift.warnings,
            *loop.warnings,
            *whose(admin, topics),
        ),
        unread=drift.unread,
        to_train=loop.pending,
    )


def _step(number: int, what: str) -> str:
    return f"the judgement, step {number} of {_STEPS}, {what}"


def _records(bus: Bus, *roles: str) -> str:
    """How many offsets these topics hold, of which a few are no records."""
    return f"{sum(span.end - span.low for role in roles for span in bus.spans(role).values()):,} records"


def whose(admin: KafkaAdmin, topics: Sequence[str]) -> list[str]:
    """Sentences that name the open transactions of these topics, which were waited for already."""
    if not topics:
        return []
    lines = [hanging_line(one, time.time_ns() // 1_000_000) for one in find_hanging(admin, topics, longest_s=_PAUSE_S)]
    return [f"{line.about} is {line.seen}. To do: {line.do}." for line in lines]
