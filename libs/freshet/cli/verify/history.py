"""What the control topics say about one pipeline, in the order in which it was written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from freshet.cli.control import read
from freshet.cli.verify.evidence import History
from freshet.contracts.messages import Cutover, Manifest, ModelVersion, PipelineRecord, Rollout
from freshet.pipeline import PipelineSpec
from freshet.runtime.bus.protocol import Bus

CONTROL: Final = ("cutovers", "rollouts", "pipelines", "models")
"""Cut-overs first: what explains them was there before them."""

_NEVER: Final = 2**31
"""No specification has this number, which is an int on the wire."""


@dataclass(slots=True)
class _Versions:
    manifests: dict[str, Manifest] = field(default_factory=dict)
    chunk_offsets: dict[str, tuple[int, ...]] = field(default_factory=dict)
    artifacts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, version: str, record: ModelVersion) -> None:
        """Whatever a version is given later, inference goes by what it was given first."""
        self.manifests.setdefault(version, record.manifest)
        self.chunk_offsets.setdefault(version, record.chunk_offsets)
        digests = self.artifacts.setdefault(version, [])
        if record.manifest.digest not in digests:
            digests.append(record.manifest.digest)


def read_history(bus: Bus, pipeline: str, features_id: str) -> History:
    """All that is still on the control topics. `features_id` is the present id of the features topic."""
    cutovers: list[Cutover] = []
    rollouts: list[Rollout] = []
    pipelines: list[PipelineRecord] = []
    versions = _Versions()
    for fact in read(bus, *CONTROL):
        match fact.message:
            case Cutover(pipeline=name, lane="serve") if name == pipeline:
                cutovers.append(fact.message)
            case Rollout(pipeline=name) if name == pipeline:
                rollouts.append(fact.message)
            case PipelineRecord(pipeline=name) if name == pipeline:
                pipelines.append(fact.message)
            case ModelVersion(pipeline=name, version=version) if name == pipeline and version:
                versions.add(version, fact.message)
            # a deletion takes all records of a role at once: what follows is the pipeline's next life
            case None if fact.key.partition("/")[0] == pipeline and fact.role == "models":
                versions = _Versions()
            case None if fact.key.partition("/")[0] == pipeline:
                lives: Mapping[str, list[Any]] = {"cutovers": cutovers, "rollouts": rollouts, "pipelines": pipelines}
                lives[fact.role].clear()
    present = [cutover for cutover in cutovers if cutover.topic_id == features_id]
    specs = [PipelineSpec.parse(record.spec) for record in pipelines]
    newest = max(specs, key=lambda spec: spec.features.version, default=None)
    return History(
        cutovers=present,
        earlier_cutovers=len(cutovers) - len(present),
        rollouts=rollouts,
        manifests=versions.manifests,
        chunk_offsets=versions.chunk_offsets,
        artifacts=versions.artifacts,
        feature_names=newest.feature_names if newest is not None else (),
        first_specs=_first_specs(specs, versions.manifests),
    )


def _first_specs(specs: Iterable[PipelineSpec], manifests: Mapping[str, Manifest]) -> dict[str, int]:
    """See `History`. Specifications only append, so a later one has what an earlier one had."""
    firsts: dict[str, int] = {}
    for spec in specs:
        for name in spec.feature_names:
            firsts[name] = min(spec.features.version, firsts.get(name, _NEVER))
    return {
        version: max((firsts.get(name, _NEVER) for name in manifest.inputs), default=0)
        for version, manifest in manifests.items()
    }
