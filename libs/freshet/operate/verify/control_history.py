"""What the control topics say about one pipeline, for the judge."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from freshet.contracts.messages import ModelVersion
from freshet.ledger.ledger import Ledger, PipelineLedger
from freshet.operate.facts import read
from freshet.operate.verify.evidence import Demand, History
from freshet.operate.verify.foreign_records import without_foreign
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus

if TYPE_CHECKING:
    from freshet.trust.trusted_keys import TrustedKeys

CONTROL: Final = ("cutovers", "rollouts", "pipelines", "models")
"""Cut-overs first: what explains them was there before them."""

_NEVER: Final = 2**31
"""No specification has this number, which is an int on the wire."""


def read_history(bus: Bus, pipeline: str, features_id: str, keys: "TrustedKeys | None" = None) -> History:
    """All that is still on the control topics. `features_id` is the present id of the features topic.

    `keys` are those whose signatures count, where the pipeline demands signatures.
    """
    facts = read(bus, *CONTROL)
    ledger, foreign = Ledger(facts).of(pipeline), list[str]()
    demand = demand_of(ledger, keys)
    if demand is not None:
        ours, foreign = without_foreign(facts, ledger, demand)
        ledger = Ledger(ours).of(pipeline) if foreign else ledger
    cutovers = [cut for cut in ledger.cutovers.told if cut.lane == "serve"]
    present = [cut for cut in cutovers if cut.topic_id == features_id]
    specs = [PipelineSpec.parse(record.spec) for record in ledger.specifications.values()]
    newest = max(specs, key=lambda spec: spec.features.version, default=None)
    return History(
        ledger=ledger,
        cutovers=present,
        earlier_cutovers=len(cutovers) - len(present),
        cutover_topics={cut.topic_id for cut in cutovers},
        feature_names=newest.feature_names if newest is not None else (),
        spec_widths={spec.features.version: len(spec.feature_names) for spec in specs},
        first_specs=_first_specs(specs, ledger.versions.records),
        demand=demand,
        foreign=foreign,
    )


def demand_of(ledger: PipelineLedger, keys: "TrustedKeys | None") -> Demand | None:
    """Whether the pipeline answers with signed models only, by its newest specification or by the trust file."""
    demands = [
        PipelineSpec.parse(record.spec).trust == "required" for _, record in sorted(ledger.specifications.items())
    ]
    if not (demands and demands[-1]) and not (keys is not None and ledger.name in keys.required_for):
        return None
    return Demand(ledger.life, keys, later=not all(demands))


def _first_specs(specs: Iterable[PipelineSpec], models: Mapping[str, ModelVersion]) -> dict[str, int]:
    """See `History`. Specifications only append, so a later one has what an earlier one had."""
    firsts: dict[str, int] = {}
    for spec in specs:
        for name in spec.feature_names:
            firsts[name] = min(spec.features.version, firsts.get(name, _NEVER))
    return {
        version: max((firsts.get(name, _NEVER) for name in model.manifest.inputs), default=0)
        for version, model in models.items()
    }
