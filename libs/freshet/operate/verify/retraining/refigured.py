"""Figures of models on the rows that they were tried on, from the bytes on the topics."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats32
from freshet.contracts.messages import Manifest
from freshet.models.contract import BATCH_ROWS
from freshet.models.model_error import ModelError
from freshet.models.scorer import Scorer
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.operate.verify.retraining.loop_evidence import PROMISE, TRAINING, LoopEvidence
from freshet.operate.verify.retraining.watermarks import Taught
from freshet.pipeline.gate import LATENCY
from freshet.quality.figures import figures
from freshet.quality.setting import setting_of
from freshet.runtime.artifacts import fetch_model
from freshet.runtime.bus.protocol import Bus

_TOLERANCE: Final = 1e-4
"""The same bits on the same CPU and onnxruntime. On another one a score near a bound may fall on its other side."""


def refigured(bus: Bus, evidence: LoopEvidence, taught: Sequence[Taught]) -> tuple[Finding, list[Unjudged]]:
    """Score candidates, and the versions that they were compared with, again; one model at a time is in memory."""
    wrong: list[str] = []
    unjudged: list[Unjudged] = []
    looked_at = 0
    for one in taught:
        try:
            other = list(_other_figures(bus, evidence, one))
        except ModelError as error:
            why = f"whose figures could not be computed again, {error}"
            unjudged.append(Unjudged("trainings", 1, why))
            continue
        looked_at += 1
        wrong += [f"{one.record.training[:8]}: {', '.join(other)}"] if other else []
    return listed(PROMISE, "figures of gates are those of the models' bytes", looked_at, wrong), unjudged


def _other_figures(bus: Bus, evidence: LoopEvidence, taught: Taught) -> Iterator[str]:
    record, spec, holdout = taught.record, taught.spec, taught.holdout
    answerers = {"candidate": _candidate(evidence, record.training, record.digest)}
    if record.champion:
        answerers["champion"] = _version(evidence, record.champion)
    scores = {name: _scores(bus, manifest, spec.feature_names, holdout.values) for name, manifest in answerers.items()}
    found = figures(holdout, scores, setting_of(spec))
    told = {name for name in record.metrics if not name.endswith(f".{LATENCY}")}  # which no bytes give again
    for name in sorted(found.keys() | told):
        mine, its = found.get(name, math.nan), record.metrics.get(name, math.nan)
        if not abs(mine - its) <= _TOLERANCE * max(1.0, abs(its)):
            yield f"{name} is {mine:.4g}, not {its:.4g}"


def _candidate(evidence: LoopEvidence, training: str, digest: str) -> Manifest:
    for manifest in evidence.models.values():
        if manifest.digest == digest and manifest.lineage.get(TRAINING) == training:
            return manifest
    raise ModelError("manifest_missing", "no candidate of it is on the topics any more.")


def _version(evidence: LoopEvidence, version: str) -> Manifest:
    model = evidence.ledger.versions.records.get(version)
    if model is None:
        raise ModelError("manifest_missing", f"no record of {version} is on the models topic.")
    return model.manifest


def _scores(bus: Bus, manifest: Manifest, names: tuple[str, ...], rows: Floats32) -> Floats32:
    """As the training has scored them."""
    columns = rows[:, [names.index(name) for name in manifest.inputs]]
    with closing(fetch_model(manifest, (), bus)) as assembly, closing(Scorer.load(assembly.file(), manifest)) as scorer:
        found = [scorer.score(columns[at : at + BATCH_ROWS]) for at in range(0, max(len(rows), 1), BATCH_ROWS)]
    return np.concatenate(found)
