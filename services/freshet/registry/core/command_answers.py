"""Operators' commands: each is answered by exactly one decision, in the batch of what it changes.

A promote or a rollback that has begun to prepare is answered when its epoch ends; until then the epoch names the
command.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from freshet.contracts.logic import Announce
from freshet.contracts.messages import Action, Command, ModelVersion, Verdict
from freshet.contracts.name_rules import is_training
from freshet.ledger.epochs import Cause, understudy
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.life_tables import VERSION
from freshet.registry.core import announce
from freshet.registry.core.quarantine import reporters
from freshet.registry.core.rollback_words import nowhere, passed_over
from freshet.registry.core.rollouts import go_live, held, overtake, prepare, repeat_live
from freshet.registry.core.short_text import listed
from freshet.registry.core.state import PipelineState, Rules


def answer_command(state: PipelineState, now_ms: int, unsigned: str = "") -> list[Announce]:
    """The first command in the topic's order that can be answered or begun now; nothing if all must wait.

    `unsigned` says why no epoch can be signed that would be believed; then nothing that needs one is begun.
    """
    under_way = {opened.command_id for opened in state.ledger.epochs.open}
    waiting = state.ledger.commands.open.values()
    for asked in sorted(waiting, key=lambda asked: (asked.offset, asked.command.command_id)):
        if asked.command.command_id not in under_way:
            effects = _consider(state, asked.command, now_ms, unsigned)
            if effects:
                return effects
    return []


def _consider(state: PipelineState, command: Command, now_ms: int, unsigned: str) -> list[Announce]:
    """Answer or begin one command; nothing if it must wait, for its pipeline to be known or for a prepare to end."""
    ledger = state.ledger
    if command.withdrawn:
        return [_decide(ledger, command, "expired", "whoever asked has withdrawn it.")]
    if now_ms > command.expires_at_ms:
        unknown = " No pipeline of this name has been applied." if state.rules is None else ""
        return [_decide(ledger, command, "expired", f"it was not carried out in time.{unknown}")]
    if state.rules is None:
        return []
    live = ledger.epochs.live_epoch
    if command.expected_epoch is not None and command.expected_epoch != live:
        expected = f"epoch {command.expected_epoch} was expected, but {live} is live: look again, then ask again."
        return [_decide(ledger, command, "stale", expected)]
    if unsigned and command.action in _NEEDS_AN_EPOCH:
        effects = [_decide(ledger, command, "refused", unsigned)]
    elif command.action == "promote":
        effects = _promote(ledger, state.rules, command, now_ms, anew=state.trust.required)
    elif command.action == "rollback":
        effects = _rollback(ledger, state.rules, command, now_ms)
    else:
        effects = _ACTIONS[command.action](ledger, command, now_ms)
    return effects


def _promote(ledger: PipelineLedger, rules: Rules, command: Command, now_ms: int, *, anew: bool) -> list[Announce]:
    """`anew`: the version that answers gets a new epoch, too. Somebody may have written over the record of the one that
    is in force, which we would not see, and whoever starts after compaction would not know who answers.
    """
    version, epochs = command.version, ledger.epochs
    if not ledger.versions.may_serve(version):
        return [_decide(ledger, command, "refused", _state_of(ledger, version))]
    if why := ledger.against(version):
        return [_decide(ledger, command, "refused", f"{version} may not be rolled out: {why}")]
    if epochs.paused:
        return [_decide(ledger, command, "refused", "rollouts are paused: resume first.")]
    if epochs.open:
        return []
    begun = epochs.live is not None and epochs.live.command_id == command.command_id
    if version == epochs.serving and (begun or not anew):
        return [_already_answers(ledger, command, version)]
    return _prepare(ledger, rules, command, version, now_ms)


def _prepare(ledger: PipelineLedger, rules: Rules, command: Command, version: str, now_ms: int) -> list[Announce]:
    if rules.spec is None:
        return [_decide(ledger, command, "refused", f"the pipeline's specification cannot be read: {rules.trouble}")]
    deadline_ms = now_ms + rules.spec.rollout.prepare_timeout.ms
    if command.action == "rollback":
        return prepare(ledger, version, Cause.of(command), deadline_ms, left=ledger.epochs.serving)
    return prepare(ledger, version, Cause.of(command), deadline_ms)


def _rollback(ledger: PipelineLedger, rules: Rules, command: Command, now_ms: int) -> list[Announce]:
    """Live at once where a worker holds the version; what none holds is prepared first, as for a promote.

    To the version that answers: no new epoch, but what is being prepared is not to follow it.
    """
    version = command.version or ledger.rollback_target()
    if ledger.epochs.live is None or not version:
        return [_decide(ledger, command, "refused", nowhere(ledger))]
    if not ledger.versions.may_serve(version):
        return [_decide(ledger, command, "refused", _state_of(ledger, version))]
    if why := ledger.against(version):
        return [_decide(ledger, command, "refused", f"{version} may not be rolled back to: {why}")]
    if version == ledger.epochs.serving:
        return [*overtake(ledger, Cause.of(command)), _already_answers(ledger, command, version)]
    if not held(ledger, version):
        return _prepare(ledger, rules, command, version, now_ms)
    effects = go_live(ledger, version, Cause.of(command), now_ms, left=ledger.epochs.serving)
    lacking = [name for name, worker in ledger.workers.serving().items() if version not in worker.resident]
    done = f"{version} answers, no longer {ledger.epochs.serving or 'nobody'}."
    done += f" {listed(lacking)} goes on with what it holds until it has loaded it." if lacking else ""
    done += passed_over(ledger, command, version)
    return [*effects, _decide(ledger, command, "done", done, ledger.next_epoch)]


def _already_answers(ledger: PipelineLedger, command: Command, version: str) -> Announce:
    return _decide(ledger, command, "done", f"{version} already answers.", ledger.epochs.live_epoch)


def _pause(ledger: PipelineLedger, command: Command, now_ms: int) -> list[Announce]:  # noqa: ARG001
    return _set_paused(ledger, command, paused=True)


def _resume(ledger: PipelineLedger, command: Command, now_ms: int) -> list[Announce]:  # noqa: ARG001
    return _set_paused(ledger, command, paused=False)


def _set_paused(ledger: PipelineLedger, command: Command, *, paused: bool) -> list[Announce]:
    word = "paused" if paused else "not paused"
    if ledger.epochs.paused == paused:
        return [_decide(ledger, command, "done", f"rollouts are {word} already.", ledger.epochs.live_epoch)]
    effects = repeat_live(ledger, Cause.of(command), paused=paused)
    return [*effects, _decide(ledger, command, "done", f"rollouts are {word}.", ledger.next_epoch)]


def _retire(ledger: PipelineLedger, command: Command, now_ms: int) -> list[Announce]:
    version = command.version
    record = _numbered(ledger, version)
    if record is None:
        return [_decide(ledger, command, "refused", _state_of(ledger, version))]
    use = _use(ledger, version)
    if use:
        return [_decide(ledger, command, "refused", f"{version} {use}: move to another version first.")]
    if VERSION.move(record.state, "retire").effect == "keep":
        return [_decide(ledger, command, "done", f"{version} is retired already.")]
    retired = announce.revised(record, now_ms, "retire", _note(command), reason=_note(command))
    return [announce.model(retired), _decide(ledger, command, "done", f"{version} is retired.")]


def _annotate(ledger: PipelineLedger, command: Command, now_ms: int) -> list[Announce]:
    """A note on a version goes into its history; of one on a training the decision is all there is."""
    if is_training(command.version):
        told = {"training": command.version, "text": command.text}
        return [_decide(ledger, command, "done", f"noted on training {command.version}.", more=told)]
    record = _numbered(ledger, command.version)
    if record is None:
        return [_decide(ledger, command, "refused", _state_of(ledger, command.version))]
    noted = announce.revised(record, now_ms, "note", _note(command))
    return [announce.model(noted), _decide(ledger, command, "done", f"noted on {command.version}.")]


def _reinstate(ledger: PipelineLedger, command: Command, now_ms: int) -> list[Announce]:
    """Back from quarantine; nothing starts to answer by that. Reports of before the command no longer count."""
    version = command.version
    record = ledger.versions.records.get(version)
    if record is None or not VERSION.allows(record.state, "reinstate"):
        why = f"only a quarantined version is reinstated; {_state_of(ledger, version)}"
        return [_decide(ledger, command, "refused", why)]
    note, pardoned = _note(command), reporters(ledger, version)
    back = announce.revised(record, now_ms, "reinstate", note, reason=note, pardoned=pardoned)
    return [
        announce.model(back),
        _decide(ledger, command, "done", f"{version} is admitted again: promote it if it is to answer."),
    ]


_NEEDS_AN_EPOCH: Final = frozenset({"promote", "rollback", "pause", "resume"})

_ACTIONS: Final[Mapping[Action, Callable[[PipelineLedger, Command, int], list[Announce]]]] = {
    "pause": _pause,
    "resume": _resume,
    "retire": _retire,
    "annotate": _annotate,
    "reinstate": _reinstate,
}


def _use(ledger: PipelineLedger, version: str) -> str:
    """What the version is needed for; empty if nothing."""
    if version == ledger.epochs.serving:
        return "is serving"
    if version and version == understudy(ledger.epochs.live):
        return "is the understudy"
    if version == ledger.rollback_target():
        return "is where a rollback goes"
    if any(version in opened.resident for opened in ledger.epochs.open):
        return f"belongs to epoch {ledger.epochs.open[0].epoch}, which is being prepared"
    return ""


def _numbered(ledger: PipelineLedger, version: str) -> ModelVersion | None:
    return ledger.versions.records.get(version)


def _state_of(ledger: PipelineLedger, version: str) -> str:
    record = _numbered(ledger, version)
    if not version:
        return "it names no version."
    if record is None:
        return f"there is no version {version!r}; see `freshet model list`."
    return f"{version} is {record.state}: {record.reason}"


def _note(command: Command) -> str:
    return f"{command.action} by {command.by}: {command.text}"


def _decide(
    ledger: PipelineLedger,
    command: Command,
    verdict: Verdict,
    reason: str,
    epoch: int = 0,
    *,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Announce:
    inputs = {"action": command.action, "by": command.by, "live_epoch": str(ledger.epochs.live_epoch)}
    inputs |= {"version": command.version} if command.version else {}
    inputs |= more
    return announce.decision(ledger.name, "command", command.command_id, verdict, reason, epoch=epoch, inputs=inputs)
