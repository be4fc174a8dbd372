"""P2: what the registry wrote has one meaning: one content an epoch, one end, one artifact a version."""

from collections.abc import Iterator, Sequence

from freshet.contracts.messages import Rollout
from freshet.operate.verify.evidence import History
from freshet.operate.verify.findings import Finding, listed


def contradictions(history: History) -> Iterator[Finding]:
    """What the ledger found of epochs and versions that were given out twice, whatever their keys."""
    epochs, versions = history.ledger.epochs, history.ledger.versions
    told = {epoch: epochs.told(epoch) for epoch in sorted(epochs.overruled)}
    ambiguous = [
        f"epoch {epoch}: {_named(rollouts)}"
        for epoch, rollouts in told.items()
        if len(set(map(_content, rollouts))) > 1
    ]
    yield listed("P2", "an epoch has one content", len(epochs.records), ambiguous)
    phases = {epoch: {rollout.phase for rollout in rollouts} for epoch, rollouts in told.items()}
    both = [f"epoch {epoch} is live and aborted" for epoch, found in phases.items() if {"live", "aborted"} <= found]
    yield listed("P2", "an epoch is live or aborted, never both", len(epochs.records), both)
    digests = {version: [record.manifest.digest for record in versions.told(version)] for version in versions.overruled}
    several = [
        f"{version}: {', '.join(digest[:12] for digest in dict.fromkeys(found))}" for version, found in digests.items()
    ]
    yield listed("P2", "a version has one artifact", len(versions.records), several)
    strange = [
        f"{cut.partition}/{cut.first_offset}: epoch {cut.epoch} {_state(epochs.told(cut.epoch))}"
        for cut in history.cutovers
        if all(rollout.phase != "live" for rollout in epochs.told(cut.epoch))
    ]
    yield listed("P2", "each cut-over's epoch went live", len(history.cutovers), strange)


def _content(rollout: Rollout) -> str:
    """All that stays as an epoch passes from prepare to its end; what is signed is the phase too."""
    return rollout.model_dump_json(exclude={"phase", "signatures"})


def _named(rollouts: Sequence[Rollout]) -> str:
    """The versions that the records of one epoch name, each set once."""
    tables = [" and ".join(share.version for share in rollout.table) or "nobody" for rollout in rollouts]
    found = list(dict.fromkeys(tables))
    return " or ".join(found) if len(found) > 1 else f"{found[0]}, but other understudies, causes or limits"


def _state(told: Sequence[Rollout]) -> str:
    phases = sorted({rollout.phase for rollout in told})
    return f"was only {' and '.join(phases)}" if phases else "was never issued"
