"""Who answers? The live epoch with its shares, what is being prepared, and each worker."""

from collections.abc import Mapping
from dataclasses import dataclass

from freshet.console.core.alive import Crew, Worker
from freshet.console.core.answer import SectionAnswer
from freshet.console.core.number_words import percent_words, plural
from freshet.contracts.messages import Rollout
from freshet.ledger.epochs import understudy
from freshet.ledger.ledger import PipelineLedger

_WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class ShareBar:
    """A version's share of the entities."""

    version: str
    share: float
    champion: bool


@dataclass(frozen=True, slots=True)
class Answerers:
    """The section."""

    answer: SectionAnswer
    epoch: int
    """0 before the first."""
    since_ms: int
    cause: str
    by: str
    shares: tuple[ShareBar, ...]
    understudy: str
    next_step: str
    policy: str
    paused: bool
    rollback_to: str
    workers: tuple[Worker, ...]
    cut_at: Mapping[int, int]
    """By partition, the first offset answered under the live epoch."""


def answerers(ledger: PipelineLedger, crews: Mapping[str, Crew], policy: str, approval: str) -> Answerers:
    """The section; `approval` says in words who let the live epoch go live."""
    live = ledger.epochs.live
    shares = _shares(live)
    cuts = ledger.cutovers.to_epoch(live.epoch) if live else {}
    workers = tuple(worker for worker in crews["inference"].workers if worker.state != "left")
    return Answerers(
        answer=_answer(ledger, shares, workers, crews["registry"]),
        epoch=live.epoch if live else 0,
        since_ms=ledger.epochs.since_ms(live.epoch) if live else 0,
        cause=live.cause if live else "",
        by=approval,
        shares=shares,
        understudy=understudy(live),
        next_step=_next_step(ledger, policy),
        policy=policy,
        paused=ledger.epochs.paused,
        rollback_to=ledger.rollback_target(),
        workers=workers,
        cut_at={partition: cut.first_offset for partition, cut in sorted(cuts.items())},
    )


def _shares(live: Rollout | None) -> tuple[ShareBar, ...]:
    if live is None:
        return ()
    return tuple(ShareBar(one.version, one.share / _WHOLE, at == 0) for at, one in enumerate(live.table))


def _answer(
    ledger: PipelineLedger, shares: tuple[ShareBar, ...], workers: tuple[Worker, ...], registry: Crew
) -> SectionAnswer:
    live = ledger.epochs.live
    if ledger.alarm:
        return SectionAnswer("bad", ledger.alarm, "topics contradict")
    if live is None or not shares:
        versions = len(ledger.versions.records)
        hint = f"{plural(versions, 'version')} could: promote one." if versions else "Publish a model."
        return SectionAnswer("wait", f"Nobody yet. {hint}", "nobody yet")
    behind = [worker for worker in workers if worker.alive and worker.partitions and worker.epoch < live.epoch]
    told = f"{shares[0].version} answers everything"
    brief = f"{shares[0].version}"
    if len(shares) > 1:
        told = ", ".join(f"{one.version} answers {percent_words(one.share)}" for one in shares)
        brief = " : ".join(percent_words(one.share).removesuffix(" %") for one in shares)
    if behind:
        names = ", ".join(worker.name for worker in behind[:3])
        return SectionAnswer(
            "held", f"{told}. {names} {'is' if len(behind) == 1 else 'are'} behind.", f"{brief}, {len(behind)} behind"
        )
    return _besides(ledger, registry, told, brief)


def _besides(ledger: PipelineLedger, registry: Crew, told: str, brief: str) -> SectionAnswer:
    """What is to say beside who answers."""
    if not registry.alive:
        return SectionAnswer("bad", f"{told}. No registry runs, so nobody decides.", f"{brief}, no registry")
    if ledger.versions.quarantined:
        bad = ", ".join(sorted(ledger.versions.quarantined)[:3])
        return SectionAnswer("warn", f"{told}. {bad} is in quarantine: it failed to answer.", f"{brief}, quarantine")
    if ledger.epochs.paused:
        return SectionAnswer("held", f"{told}. Rollouts are paused.", f"{brief}, paused")
    if opened := ledger.epochs.open:
        return SectionAnswer("new", f"{told}. Epoch {opened[-1].epoch} is being prepared.", f"{brief}, one prepared")
    return SectionAnswer("ok", f"{told}.", brief)


def _next_step(ledger: PipelineLedger, policy: str) -> str:
    if ledger.epochs.paused:
        return "Nothing starts by itself: rollouts are paused. A rollback is still done."
    if opened := [one for one in ledger.epochs.open if one.epoch > ledger.epochs.live_epoch]:
        names = ", ".join(share.version for share in opened[-1].table)
        return f"Epoch {opened[-1].epoch} with {names}, once every worker has loaded it."
    waiting = [
        state.version
        for state in ledger.versions.states
        if state.state == "admitted" and state.version not in ledger.epochs.tried
    ]
    if waiting and policy == "manual":
        return f"{waiting[-1]} waits for somebody to promote it."
    return "Nothing: it changes when a new model is admitted, or somebody asks for it."
