"""Whether what answers a pipeline that demands signatures would still answer if its workers were started again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from freshet.contracts.logic import Fact
from freshet.contracts.messages import PipelineRecord, Rollout
from freshet.ledger.epochs import champion, named_by
from freshet.ledger.ledger import PipelineLedger
from freshet.ledger.vouching import BelieveAll, Vouching
from freshet.operate.finding import Health, Line
from freshet.operate.judged_view import trust_of
from freshet.pipeline import PipelineSpec

if TYPE_CHECKING:  # it needs an extra
    from freshet.trust.trusted_keys import TrustedKeys

ROLES: Final = ("models", "rollouts")
"""The topics that tell."""
_SIGN: Final = "docs/trust.md, 'Sign a version again'; then promote it"


def demanding(specs: Mapping[str, PipelineSpec], keys: "TrustedKeys | None") -> list[str]:
    """The pipelines that answer with signed models only, by their specification or by the trust file."""
    asked = keys.required_for if keys is not None else frozenset()
    return [name for name, spec in specs.items() if spec.trust == "required" or name in asked]


def signature_lines(record: PipelineRecord, facts: Sequence[Fact], keys: "TrustedKeys | None") -> Iterator[Line]:
    """Of one such pipeline: what a worker that starts now would not believe or not load, of what is live.

    Without keys all that can be told is what bears no signature.
    """
    live = _ledger(record, facts, BelieveAll()).epochs.live
    if live is None:
        return
    lines = list(_without_keys(record, facts, live) if keys is None else _judged(record, facts, keys))
    if not lines:
        unjudged = "" if keys else "; whose keys signed it was not judged, since no trust file was given (--trust)"
        lines = [_line(record, "ok", f"epoch {live.epoch} and {champion(live)}, which answers, are signed{unjudged}")]
    yield from lines


def _without_keys(record: PipelineRecord, facts: Sequence[Fact], live: Rollout) -> Iterator[Line]:
    versions = _ledger(record, facts, BelieveAll()).versions.records
    for version in named_by(live):
        if version in versions and not versions[version].signatures:
            health: Health = "bad" if version == champion(live) else "warn"
            yield _line(record, health, f"{version} bears no signature: a worker that starts does not load it", _SIGN)
    if not live.signatures:
        seen = f"epoch {live.epoch} bears no signature: a worker that starts would wait"
        yield _line(record, "bad", seen, _promote(record, live))


def _judged(record: PipelineRecord, facts: Sequence[Fact], keys: "TrustedKeys") -> Iterator[Line]:
    """The topics as a worker reads them that starts with these keys."""
    from freshet.trust.signed_versions import SignedVersions  # noqa: PLC0415 (it needs an extra)

    trust = trust_of(record, keys, demanded=True)
    ledger = _ledger(record, facts, trust)
    known, live = SignedVersions(ledger, trust), ledger.epochs.live
    if told := ledger.disbelief():
        seen = f"a worker that starts would {f'go back to {champion(live)}' if live else 'wait'}: {told}"
        yield _line(record, "bad", seen)
    for version in named_by(live) if live else ():
        if version not in ledger.versions.records:
            continue
        if found := known.against(version):
            health: Health = "bad" if version == champion(live) else "warn"
            yield _line(record, health, f"a worker that starts does not load {version}: {found}", _SIGN)
        elif told := ledger.against(version):
            yield _line(
                record, "warn", f"a worker that starts loads {version}, but no new epoch names it: {told}", _SIGN
            )


def _ledger(record: PipelineRecord, facts: Sequence[Fact], vouching: Vouching) -> PipelineLedger:
    ledger = PipelineLedger(record.pipeline, vouching=vouching)
    ledger.fold(Fact("pipelines", f"{record.pipeline}/{record.number}", record, 0, 0))
    for fact in facts:
        ledger.fold(fact)
    return ledger


def _line(record: PipelineRecord, health: Health, seen: str, do: str = "") -> Line:
    return Line(f"signatures {record.pipeline}", health, seen, do)


def _promote(record: PipelineRecord, live: Rollout) -> str:
    return f"freshet model promote {champion(live)} --pipeline {record.pipeline}"
