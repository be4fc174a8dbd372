"""Records of epochs and versions that a stranger wrote beside those that trusted keys have signed.

Registry and workers leave them out, so they say nothing of who answers. What nobody signed though partitions were cut
over to it stays: that is a breach, which the check of signatures names.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from freshet.contracts.logic import Fact
from freshet.contracts.messages import ModelVersion, Rollout
from freshet.ledger.ledger import PipelineLedger, pipeline_of
from freshet.ledger.manifest_id import manifest_id
from freshet.operate.verify.evidence import Demand
from freshet.operate.verify.record_judge import RecordJudge

_NAMED: Final = 5
_EPOCHS: Final = "epochs that no trusted release key has signed as they are"
_VERSIONS: Final = "versions beside those that trusted keys have signed"


def without_foreign(facts: Sequence[Fact], told: PipelineLedger, demand: Demand) -> tuple[Sequence[Fact], list[str]]:
    """The facts without a stranger's, and a sentence for each topic that such were left out of.

    `told` is what all facts tell of the pipeline; without trusted keys nothing is left out.
    """
    if demand.keys is None:
        return facts, []
    judge = RecordJudge(demand, demand.keys)
    records = _of_present_life(facts, told.name)
    epochs = {at: one for at, one in records.items() if isinstance(one, Rollout)}
    versions = {at: one for at, one in records.items() if isinstance(one, ModelVersion) and one.version}
    faults = {at: judge.of_epoch(record) for at, record in epochs.items()}
    sound = {at: record for at, record in epochs.items() if judge.ours(faults[at])}
    answered = {cut.epoch for cut in told.cutovers.told}
    strange = _strange_epochs(epochs, sound, answered, later=demand.later)
    others = _strange_versions(versions, sound.values(), judge)
    if not strange and not others:
        return facts, []
    warnings = [
        *_warning("rollouts", _EPOCHS, [f"epoch {epochs[at].epoch}: {faults[at]}" for at in strange]),
        *_warning(
            "models", _VERSIONS, [f"{versions[at].version} as {versions[at].manifest.digest[:12]}" for at in others]
        ),
    ]
    left_out = {*strange, *others}
    return [fact for at, fact in enumerate(facts) if at not in left_out], warnings


def _of_present_life(facts: Sequence[Fact], pipeline: str) -> dict[int, object]:
    """Records of epochs and versions that no deletion has taken since, by their places among the facts."""
    found: dict[str, dict[int, object]] = {"rollouts": {}, "models": {}}
    for at, fact in enumerate(facts):
        if fact.role in found and pipeline_of(fact) == pipeline:
            if fact.message is None:
                found[fact.role].clear()
            else:
                found[fact.role][at] = fact.message
    return found["rollouts"] | found["models"]


def _strange_epochs(
    epochs: Mapping[int, Rollout], sound: Mapping[int, Rollout], answered: set[int], *, later: bool
) -> list[int]:
    """Beside a signed record of its number; or of a number that nobody signed, and that no partition came to.

    Unless that is below the first signed one, and signatures were not demanded from the beginning.
    """
    signed = {record.epoch for record in sound.values()}
    first = min(signed, default=max((record.epoch for record in epochs.values()), default=0) + 1) if later else 0
    return [
        at
        for at, record in epochs.items()
        if at not in sound and (record.epoch in signed or (record.epoch >= first and record.epoch not in answered))
    ]


def _strange_versions(versions: Mapping[int, ModelVersion], epochs: Iterable[Rollout], judge: RecordJudge) -> list[int]:
    """Of another manifest than what signed epochs mean by its number; where none names it, than what a builder signed.

    A builder's signature alone tells no number: somebody may write a signed version again under another one.
    """
    meant: dict[str, set[str]] = {}
    for epoch in epochs:
        for version, identity in epoch.manifests.items():
            meant.setdefault(version, set()).add(identity)
    identities = {at: manifest_id(record.manifest) for at, record in versions.items()}
    built: dict[str, set[str]] = {}
    for at, record in versions.items():
        if judge.ours(judge.of_version(record)):
            built.setdefault(record.version, set()).add(identities[at])
    found = []
    for at, record in versions.items():
        signed = built.get(record.version, set())
        ours = signed & meant.get(record.version, signed) or signed
        if ours and identities[at] not in ours:
            found.append(at)
    return found


def _warning(role: str, what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    told = ", ".join(list(dict.fromkeys(names))[:_NAMED])
    more = ", …" if len(set(names)) > _NAMED else ""
    return [
        f"{role}: records of {what} were left out, as workers leave them out: {len(names):,} ({told}{more}). Somebody "
        "else than the registry has written or changed them: docs/trust.md says who may write there, and what to do."
    ]
