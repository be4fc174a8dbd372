"""What the control topics say about one pipeline, for the judge."""

from collections.abc import Iterable, Mapping
from typing import Final

from freshet.contracts.messages import ModelVersion
from freshet.operate.facts import ledger_of
from freshet.operate.verify.evidence import History
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus

CONTROL: Final = ("cutovers", "rollouts", "pipelines", "models")
"""Cut-overs first: what explains them was there before them."""

_NEVER: Final = 2**31
"""No specification has this number, which is an int on the wire."""


def read_history(bus: Bus, pipeline: str, features_id: str) -> History:
    """All that is still on the control topics. `features_id` is the present id of the features topic."""
    ledger = ledger_of(bus, *CONTROL).of(pipeline)
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
    )


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
