"""What in a pipeline.yaml contradicts something else in it, though each part is right by itself."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from freshet.contracts.errors import ContractError
from freshet.contracts.registry_address import registry_address
from freshet.pipeline.retraining import retraining_contradictions
from freshet.pipeline.text import Path

if TYPE_CHECKING:
    from freshet.pipeline.spec import FeatureSpec, PipelineSpec


def contradictions(spec: "PipelineSpec") -> Iterator[tuple[Path, str]]:
    """Problems between parts that are right by themselves."""
    for index, rule in enumerate(spec.rules):
        if rule.min is not None and rule.max is not None and rule.min > rule.max:
            yield ("rules", index, "min"), f"min {rule.min:g} is above max {rule.max:g}: no event could pass."
    yield from _feature_contradictions(spec.features)
    yield from _label_contradictions(spec)
    yield from _slice_contradictions(spec)
    yield from retraining_contradictions(spec.retraining, spec.target.kind, [part.name for part in spec.slices])
    for index, detector in enumerate(spec.detectors):
        if detector in spec.detectors[:index]:
            yield ("detectors", index), "is there twice, with the same parameters: it would say everything twice."
    for index, part in enumerate(spec.profile.detectors):
        if part in spec.profile.detectors[:index]:
            yield ("profile", "detectors", index), "is there twice, with the same parameters."
    yield from _registry_contradictions(spec)
    classes = spec.target.classes
    if spec.target.kind == "classes" and len(classes) < 2:
        yield ("target",), "a classification needs at least two classes; for a regression write `kind: value`."
    if spec.target.kind == "value" and classes:
        yield ("target", "classes"), "a regression has no classes; remove them, or `kind: value`."
    for index, name in enumerate(classes):
        if name in classes[:index] or not name:
            yield ("target", "classes", index), f"class {name!r} is empty or listed twice."


def _registry_contradictions(spec: "PipelineSpec") -> Iterator[tuple[Path, str]]:
    if not spec.registry:
        return
    try:
        registry_address(spec.registry)
    except ContractError as error:
        yield ("registry",), str(error)
    if spec.decoder == "json":
        yield ("registry",), "plain JSON has no schema ids, so nothing would be asked of it: remove it."


def _feature_contradictions(features: "FeatureSpec") -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    latest = 1
    for index, column in enumerate(features.columns):
        path: Path = ("features", "columns", index)
        for name in column.names():
            if name in seen or not name:
                yield path, f"feature name {name!r} is empty or already taken; give this column another `name`."
            seen.add(name)
        if latest <= column.since <= features.version:
            latest = column.since
        else:
            yield (
                (*path, "since"),
                f"since {column.since} must lie between {latest}, that of the column before, and version "
                f"{features.version}: columns are only appended.",
            )


def _label_contradictions(spec: "PipelineSpec") -> Iterator[tuple[Path, str]]:
    label = spec.label
    if (label.absent_after is None) != (label.means == ""):
        yield ("label",), "absent_after and means go together: after how long no label is a label, and which."
        return
    if label.absent_after is None:
        return
    if label.absent_after.ms > label.horizon.ms:
        yield ("label", "absent_after"), "must lie within the horizon, after which no label counts."
    if spec.target.kind == "classes" and label.means not in spec.target.classes:
        yield ("label", "means"), f"{label.means!r} is none of the classes {', '.join(spec.target.classes)}."
    if spec.target.kind == "value" and not _is_number(label.means):
        yield ("label", "means"), f"{label.means!r} is no number, and a regression predicts numbers."


def _slice_contradictions(spec: "PipelineSpec") -> Iterator[tuple[Path, str]]:
    names = spec.feature_names
    for index, part in enumerate(spec.slices):
        if part.feature not in names:
            yield ("slices", index, "feature"), f"there is no feature {part.feature!r}; there are {', '.join(names)}."
        if part.min is None and part.below is None:
            yield ("slices", index), "say `min`, `below` or both, or every event would be in it."
        if part.min is not None and part.below is not None and part.min >= part.below:
            yield (
                ("slices", index),
                f"min {part.min:g} is not smaller than below {part.below:g}: nothing could be in it.",
            )
        if part.name in [other.name for other in spec.slices[:index]]:
            yield ("slices", index, "name"), f"the name {part.name!r} is taken."


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
