"""What the answer to a rollback says beside the version that answers: what was passed over, or why it goes nowhere."""

from collections.abc import Iterable

from freshet.contracts.messages import Command
from freshet.ledger.epochs import champion
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.versions import admission_order
from freshet.registry.core.short_text import listed


def passed_over(ledger: PipelineLedger, command: Command, target: str) -> str:
    """A sentence with each version that served later than the target and may not answer, and why; empty for none.

    Empty, too, where the command names its version.
    """
    names = () if command.version else ledger.passed_over(target)
    told = _with_reasons(ledger, names)
    return f" Passed over, though they served later: {told}" if told else ""


def nowhere(ledger: PipelineLedger) -> str:
    """Why there is nothing to go back to, and what to do."""
    if told := _with_reasons(ledger, ledger.passed_over()):
        return f"what served before may not answer: {told}"
    left = [version for version in ledger.versions.records if ledger.epochs.left_behind(version)]
    left = sorted(filter(ledger.versions.may_serve, left), key=admission_order)
    if left:
        return (
            f"nothing older is left to go back to: {', '.join(left)} was rolled back from. If it is to answer again, "
            f"name it: `freshet model promote {left[-1]} --pipeline {ledger.name}`."
        )
    return _distrusted(ledger) or "nothing has served before: promote a version instead."


def _distrusted(ledger: PipelineLedger) -> str:
    """Of epochs that this registry does not believe, since their release key was revoked; empty if there are none."""
    epochs = [
        known.record
        for known in ledger.disbelieved
        if known.doubt.once and known.record.phase == "live" and known.record.life == ledger.life
    ]
    served = list(dict.fromkeys(filter(None, map(champion, reversed(epochs)))))
    if not served:
        return ""
    against = _with_reasons(ledger, [version for version in served if ledger.against(version)])
    able = [version for version in served if ledger.versions.may_serve(version) and not ledger.against(version)]
    able = [version for version in able if version != ledger.epochs.serving]
    promote = f"`freshet model promote {able[0] if able else 'VERSION'} --pipeline {ledger.name}`"
    return (
        f"{listed(served)} served before, but the release key that signed the epochs ({epochs[0].epoch} to "
        f"{epochs[-1].epoch}) is revoked, so a rollback does not go by them. Name the version to answer: {promote}."
        f"{f' These may not: {against}' if against else ''}"
    )


def _with_reasons(ledger: PipelineLedger, versions: Iterable[str]) -> str:
    told = listed(f"{version} ({ledger.against(version).rstrip('.')})" for version in versions)
    return f"{told}." if told else ""
