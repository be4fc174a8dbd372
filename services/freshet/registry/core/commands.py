"""Operators' commands: each is answered by exactly one decision, in the batch of what it changes.

A promote or a rollback that has begun to prepare is answered when its epoch ends; until then the epoch's cause carries
the command.
"""

from collections.abc import Callable, Mapping
from typing import Final

from freshet.contracts.logic import Announce
from freshet.contracts.messages import Action, Command, ModelVersion, Verdict
from freshet.registry.core import announce
from freshet.registry.core.quarantine import reporters
from freshet.registry.core.rollouts import PROMOTE, asker, go_live, held, prepare, repeat_live
from freshet.registry.core.state import ROLLBACK, PipelineState, understudy
from freshet.registry.core.text import listed
from freshet.registry.core.versions import Version


def answer_command(state: PipelineState, now_ms: int) -> list[Announce]:
    """The first command in the topic's order that can be answered or begun now; nothing if all must wait."""
    under_way = set(map(asker, state.prepares))
    for asked in sorted(state.commands.values(), key=lambda asked: (asked.offset, asked.command.command_id)):
        if asked.command.command_id not in under_way:
            effects = _consider(state, asked.command, now_ms)
            if effects:
                return effects
    return []


def _consider(state: PipelineState, command: Command, now_ms: int) -> list[Announce]:
    """Answer or begin one command; nothing if it must wait, for its pipeline to be known or for a prepare to end."""
    if command.withdrawn:
        return [_decide(state, command, "expired", "whoever asked has withdrawn it.")]
    if now_ms > command.expires_at_ms:
        unknown = " No pipeline of this name has been applied." if state.rules is None else ""
        return [_decide(state, command, "expired", f"it was not carried out in time.{unknown}")]
    if state.rules is None:
        return []
    if command.expected_epoch is not None and command.expected_epoch != state.live_epoch:
        expected = (
            f"epoch {command.expected_epoch} was expected, but {state.live_epoch} is live: look again, then ask again."
        )
        return [_decide(state, command, "stale", expected)]
    return _ACTIONS[command.action](state, command, now_ms)


def _promote(state: PipelineState, command: Command, now_ms: int) -> list[Announce]:
    version = command.version
    if not state.admitted(version):
        return [_decide(state, command, "refused", _standing(state, version))]
    if state.paused:
        return [_decide(state, command, "refused", "rollouts are paused: resume first.")]
    if state.prepares:
        return []
    if version == state.serving:
        return [_decide(state, command, "done", f"{version} already answers.", state.live_epoch)]
    return _prepare(state, command, version, now_ms)


def _prepare(state: PipelineState, command: Command, version: str, now_ms: int) -> list[Announce]:
    rules = state.rules
    assert rules is not None, "a command waits until its pipeline is known"
    if rules.spec is None:
        return [_decide(state, command, "refused", f"the pipeline's specification cannot be read: {rules.trouble}")]
    deadline_ms = now_ms + rules.spec.rollout.prepare_timeout.ms
    if command.action == "rollback":
        return prepare(state, version, ROLLBACK + command.command_id, deadline_ms, left=state.serving)
    return prepare(state, version, PROMOTE + command.command_id, deadline_ms)


def _rollback(state: PipelineState, command: Command, now_ms: int) -> list[Announce]:
    """Live at once where a worker holds the version; what none holds is prepared first, as for a promote."""
    version = command.version or state.rollback_target()
    if state.live is None or not version:
        return [_decide(state, command, "refused", _nowhere(state))]
    if not state.admitted(version):
        return [_decide(state, command, "refused", _standing(state, version))]
    if not held(state, version):
        return _prepare(state, command, version, now_ms)
    effects = go_live(state, version, ROLLBACK + command.command_id, now_ms, left=state.serving)
    lacking = [name for name, worker in state.live_workers().items() if version not in worker.resident]
    done = f"{version} answers, no longer {state.serving or 'nobody'}."
    done += f" {listed(lacking)} goes on with what it holds until it has loaded it." if lacking else ""
    return [*effects, _decide(state, command, "done", done, state.next_epoch)]


def _nowhere(state: PipelineState) -> str:
    left = sorted((v for v in state.models if state.admitted(v) and state.left_behind(v)), key=Version.parse)
    if not left:
        return "nothing has served before: promote a version instead."
    return (
        f"nothing older is left to go back to: {', '.join(left)} was rolled back from. If it is to answer again, name "
        f"it: `freshet model promote {left[-1]} --pipeline {state.name}`."
    )


def _pause(state: PipelineState, command: Command, now_ms: int) -> list[Announce]:  # noqa: ARG001
    return _set_paused(state, command, paused=True)


def _resume(state: PipelineState, command: Command, now_ms: int) -> list[Announce]:  # noqa: ARG001
    return _set_paused(state, command, paused=False)


def _set_paused(state: PipelineState, command: Command, *, paused: bool) -> list[Announce]:
    word = "paused" if paused else "not paused"
    if state.paused == paused:
        return [_decide(state, command, "done", f"rollouts are {word} already.", state.live_epoch)]
    effects = repeat_live(state, f"{command.action} {command.command_id}", paused=paused)
    return [*effects, _decide(state, command, "done", f"rollouts are {word}.", state.next_epoch)]


def _retire(state: PipelineState, command: Command, now_ms: int) -> list[Announce]:
    version = command.version
    record = _numbered(state, version)
    if record is None:
        return [_decide(state, command, "refused", _standing(state, version))]
    use = _use(state, version)
    if use:
        return [_decide(state, command, "refused", f"{version} {use}: move to another version first.")]
    if record.state == "retired":
        return [_decide(state, command, "done", f"{version} is retired already.")]
    retired = announce.revised(record, now_ms, _note(command), state="retired", reason=_note(command))
    return [announce.model(retired), _decide(state, command, "done", f"{version} is retired.")]


def _annotate(state: PipelineState, command: Command, now_ms: int) -> list[Announce]:
    record = _numbered(state, command.version)
    if record is None:
        return [_decide(state, command, "refused", _standing(state, command.version))]
    noted = announce.revised(record, now_ms, _note(command))
    return [announce.model(noted), _decide(state, command, "done", f"noted on {command.version}.")]


def _reinstate(state: PipelineState, command: Command, now_ms: int) -> list[Announce]:
    """Back from quarantine; nothing starts to answer by that. Reports of before the command no longer count."""
    version = command.version
    record = state.models.get(version)
    if record is None or record.state != "quarantined":
        return [
            _decide(state, command, "refused", f"only a quarantined version is reinstated; {_standing(state, version)}")
        ]
    back = announce.revised(
        record, now_ms, _note(command), state="admitted", reason=_note(command), pardoned=reporters(state, version)
    )
    return [
        announce.model(back),
        _decide(state, command, "done", f"{version} is admitted again: promote it if it is to answer."),
    ]


_ACTIONS: Final[Mapping[Action, Callable[[PipelineState, Command, int], list[Announce]]]] = {
    "promote": _promote,
    "rollback": _rollback,
    "pause": _pause,
    "resume": _resume,
    "retire": _retire,
    "annotate": _annotate,
    "reinstate": _reinstate,
}


def _use(state: PipelineState, version: str) -> str:
    """What the version is needed for; empty if nothing."""
    if version == state.serving:
        return "is serving"
    if state.live and version == understudy(state.live):
        return "is the understudy"
    if version == state.rollback_target():
        return "is where a rollback goes"
    if any(version in opened.resident for opened in state.prepares):
        return f"belongs to epoch {state.prepares[0].epoch}, which is being prepared"
    return ""


def _numbered(state: PipelineState, version: str) -> ModelVersion | None:
    return state.models.get(version)


def _standing(state: PipelineState, version: str) -> str:
    record = _numbered(state, version)
    if not version:
        return "it names no version."
    if record is None:
        return f"there is no version {version!r}; see `freshet model list`."
    return f"{version} is {record.state}: {record.reason}"


def _note(command: Command) -> str:
    return f"{command.action} by {command.by}: {command.text}"


def _decide(state: PipelineState, command: Command, verdict: Verdict, reason: str, epoch: int = 0) -> Announce:
    inputs = {"action": command.action, "by": command.by, "live_epoch": str(state.live_epoch)}
    inputs |= {"version": command.version} if command.version else {}
    return announce.decision(state.name, "command", command.command_id, verdict, reason, epoch=epoch, inputs=inputs)
