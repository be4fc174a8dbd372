"""What can I do? The actions with the command line of each, and the last commands with their answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from freshet.console.core.answer import Kind, SectionAnswer
from freshet.console.core.doing import TrainingLine
from freshet.console.core.folded import PipelineFacts
from freshet.console.core.typed_words import typed
from freshet.contracts.messages import Action, Command
from freshet.ledger.ledger import PipelineLedger

PATIENCE_MS: Final = 10_000
"""After so long without an answer the page says so."""
SHOWN_COMMANDS: Final = 12


@dataclass(frozen=True, slots=True)
class Act:
    """Something that an operator may ask for."""

    action: str
    """A command's action, or `redrive`."""
    label: str
    command: str
    """The line that asks for the same in a terminal."""
    effect: str
    off: str = ""
    """Why it cannot be asked for now; empty if it can."""
    grave: bool = False
    """Whether who answers changes at once."""
    version: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A command, and what became of it."""

    command_id: str
    at_ms: int
    what: str
    by: str
    kind: Kind
    told: str


@dataclass(frozen=True, slots=True)
class Acting:
    """The section."""

    answer: SectionAnswer
    epoch: int
    acts: tuple[Act, ...]
    log: tuple[AskedRow, ...]


def acting(
    ledger: PipelineLedger,
    facts: PipelineFacts,
    runs: Sequence[TrainingLine],
    *,
    reasons: Sequence[str],
    namespace: str,
    now_ms: int,
) -> Acting:
    """The section; `reasons` are those of the dead letters, the most frequent first."""
    log = asked_rows(ledger, facts, runs, now_ms)
    waiting = [row for row in log if row.kind == "wait"]
    silent = [row for row in log if row.kind == "bad" and now_ms - row.at_ms < 60 * PATIENCE_MS]
    if waiting:
        answer = SectionAnswer("wait", f"{waiting[0].what} is asked for; the answer is waited for.", "one waits")
    elif silent:
        answer = SectionAnswer("bad", f"{silent[0].what}: {silent[0].told}", "nobody answered")
    else:
        answer = SectionAnswer(
            "off", "Each button publishes one command and waits for its answer, for ten seconds.", "ask"
        )
    return Acting(
        answer, ledger.epochs.live_epoch, tuple(_acts(ledger, facts, reasons, namespace)), tuple(log[:SHOWN_COMMANDS])
    )


def _acts(ledger: PipelineLedger, facts: PipelineFacts, reasons: Sequence[str], namespace: str) -> Iterator[Act]:
    epoch, paused = ledger.epochs.live_epoch, ledger.epochs.paused
    where = f"--pipeline {ledger.name}" + (f" --namespace {namespace}" if namespace else "")
    expect = f" --expect-epoch {epoch}" if epoch else ""
    none_live = "" if epoch else "No epoch is live."
    pause = "Rollouts are paused already." if paused else none_live
    yield Act(
        *("pause", "Pause rollouts", f"freshet model pause {where}{expect}"),
        "What answers goes on. Nothing starts by itself; a rollback is still done.",
        pause,
    )
    resume = none_live or ("" if paused else "Rollouts are not paused.")
    yield Act("resume", "Resume rollouts", f"freshet model resume {where}{expect}", "Rollouts start again.", resume)
    back = ledger.rollback_target()
    to = f" --to {typed(back)}" if back else ""
    yield Act(
        *("rollback", "Roll back", f"freshet model rollback {where}{to}{expect}"),
        f"{back} answers everything, at once if workers hold it." if back else "There is no version to go back to.",
        none_live or ("" if back else "No other version may serve."),
        grave=True,
        version=back,
    )
    best = next((one.version for one in reversed(ledger.versions.states) if _may_lead(ledger, one.version)), "")
    yield Act(
        *("promote", f"Promote {best}".strip(), f"freshet model promote {typed(best or 'VERSION')} {where}{expect}"),
        f"{best} answers everything, once every worker has loaded it." if best else "Every admitted version answers.",
        "" if best else "There is no other admitted version.",
        grave=True,
        version=best,
    )
    trainer = facts.spec.retraining.trainer.kind if facts.spec else "the trainer"
    yield Act(
        *("retrain", "Train a model", f"freshet retrain {where}"),
        f"{trainer} learns from the newest labelled rows; the result becomes a candidate.",
    )
    reason = next(iter(reasons), "")
    about = f" --reason {typed(reason)}" if reason else ""
    yield Act(
        *("redrive", "Redrive", f"freshet dead-letters redrive {where}{about}"),
        f"Events that were set aside for {reason} are published again; none twice."
        if reason
        else "Nothing was set aside in 24 hours.",
        "" if reason else "There is nothing to send again.",
        reason=reason,
    )


def _may_lead(ledger: PipelineLedger, version: str) -> bool:
    return ledger.versions.may_serve(version) and version != ledger.epochs.serving


def asked_rows(
    ledger: PipelineLedger, facts: PipelineFacts, runs: Sequence[TrainingLine], now_ms: int
) -> list[AskedRow]:
    """All commands that were read, the newest first."""
    rows = [
        _row(asked.command, asked.timestamp_ms, now_ms, _decided(ledger, command_id))
        for command_id, asked in ledger.commands.asked.items()
    ]
    by_command = {run.trigger_id: run for run in runs if run.trigger == "command"}
    for fact in facts.retrain_commands:
        command = fact.message
        if isinstance(command, Command):
            rows.append(_row(command, fact.timestamp_ms, now_ms, _trained(by_command.get(command.command_id))))
    return sorted(rows, key=lambda row: -row.at_ms)


def _decided(ledger: PipelineLedger, command_id: str) -> tuple[Kind, str] | None:
    decision = ledger.commands.decisions.get(command_id)
    if decision is None:
        return None
    return ("ok" if decision.verdict == "done" else "warn"), f"{decision.verdict}: {decision.reason}"


def _trained(run: TrainingLine | None) -> tuple[Kind, str] | None:
    return None if run is None else (run.kind if run.kind != "off" else "warn", run.outcome)


def _row(command: Command, at_ms: int, now_ms: int, answer: tuple[Kind, str] | None) -> AskedRow:
    if answer is not None:
        kind, told = answer
    elif now_ms > command.expires_at_ms:
        kind, told = "bad", "nobody answered before it expired: it will not be carried out."
    elif now_ms - at_ms > PATIENCE_MS:
        who = "retraining" if command.action == "retrain" else "the registry"
        kind, told = "bad", f"nobody answered in 10 s. Is {who} running? It may still be carried out until it expires."
    else:
        kind, told = "wait", "asked; the answer is waited for."
    action: Action = command.action
    what = " ".join(filter(None, (action, command.version)))
    return AskedRow(command.command_id, at_ms, what, command.by, kind, told)
