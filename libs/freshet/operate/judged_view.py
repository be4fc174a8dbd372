"""Looking at a pipeline as a process with the trust file does: what nobody trusted signed does not count."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from freshet.contracts.messages import PipelineRecord
from freshet.ledger.vouching import BelieveAll, Vouching
from freshet.operate.facts import Published

if TYPE_CHECKING:
    from freshet.trust.pipeline_trust import PipelineTrust
    from freshet.trust.trusted_keys import TrustedKeys


def judged_by(found: Published, keys: "TrustedKeys | None") -> Callable[[str], Vouching]:
    """What a ledger asks of each pipeline: of this one by these keys, of others and without keys all is believed."""
    if keys is None:
        return lambda _: BelieveAll()
    name, trust = found.record.pipeline, trust_of(found.record, keys, demanded=found.spec.trust == "required")
    return lambda pipeline: trust if pipeline == name else BelieveAll()


def trust_of(record: PipelineRecord, keys: "TrustedKeys", *, demanded: bool) -> "PipelineTrust":
    """What a process believes of the pipeline of this record that has these keys."""
    from freshet.trust.pipeline_trust import PipelineTrust  # noqa: PLC0415 (it needs an extra)

    trust = PipelineTrust(record.pipeline, lambda: keys)
    trust.follow(demanded=demanded, life=record.life)
    return trust
