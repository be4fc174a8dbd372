"""P2: what the registry wrote has one meaning: one content an epoch, one end, one artifact a version."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from freshet.cli.verify.evidence import History
from freshet.cli.verify.findings import Finding, listed
from freshet.contracts.messages import Rollout


def epochs(history: History) -> Iterator[Finding]:
    """Compare all records of each epoch and each version, whatever their keys."""
    by_epoch: dict[int, list[Rollout]] = {}
    for rollout in history.rollouts:
        by_epoch.setdefault(rollout.epoch, []).append(rollout)
    contents = {epoch: {_content(rollout) for rollout in rollouts} for epoch, rollouts in by_epoch.items()}
    ambiguous = [f"epoch {epoch}: {_named(by_epoch[epoch])}" for epoch, found in contents.items() if len(found) > 1]
    yield listed("P2", "an epoch has one content", len(by_epoch), ambiguous)
    phases = {epoch: {rollout.phase for rollout in rollouts} for epoch, rollouts in by_epoch.items()}
    both = [f"epoch {epoch} is live and aborted" for epoch, found in phases.items() if {"live", "aborted"} <= found]
    yield listed("P2", "an epoch is live or aborted, never both", len(by_epoch), both)
    several = [
        f"{version}: {', '.join(digest[:12] for digest in digests)}"
        for version, digests in history.artifacts.items()
        if len(digests) > 1
    ]
    yield listed("P2", "a version has one artifact", len(history.artifacts), several)
    strange = [
        f"{cut.partition}/{cut.first_offset}: epoch {cut.epoch} {_state(phases.get(cut.epoch))}"
        for cut in history.cutovers
        if "live" not in phases.get(cut.epoch, set())
    ]
    yield listed("P2", "each cut-over's epoch went live", len(history.cutovers), strange)


def _content(rollout: Rollout) -> str:
    """All that stays as an epoch passes from prepare to its end."""
    return rollout.model_dump_json(exclude={"phase"})


def _named(rollouts: Sequence[Rollout]) -> str:
    """The versions that the records of one epoch name, each set once."""
    tables = [" and ".join(share.version for share in rollout.table) or "nobody" for rollout in rollouts]
    found = list(dict.fromkeys(tables))
    return " or ".join(found) if len(found) > 1 else f"{found[0]}, but other understudies, causes or limits"


def _state(phases: AbstractSet[str] | None) -> str:
    return f"was only {' and '.join(sorted(phases))}" if phases else "was never issued"
