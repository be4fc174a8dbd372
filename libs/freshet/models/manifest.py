"""Manifests: made when a model is packed, checked before anything of the model is touched, and written as JSON."""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from freshet.contracts.arrays import Floats32
from freshet.contracts.messages import Golden, Manifest
from freshet.models.artifact import CHUNK_BYTES, chunk_count, digest_of, split
from freshet.models.contract import MIB, Contract, Limits
from freshet.models.model_error import ModelError

_GOLDEN_TYPE: Final = np.dtype("<f4")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NAMES: Final = 5
_REQUIRED: Final = 5
_NAME_CHARACTERS: Final = 100


def outputs_of(manifest: Manifest) -> int:
    """Number of scores of a row: one per class, or 1 for a regression."""
    return len(manifest.classes) or 1


def refuses(required: Sequence[str]) -> str:
    """What a model does that requires values of these features, at least one: the rest of a sentence about it."""
    if len(required) > _REQUIRED:
        names = f"one of {', '.join(required[:_REQUIRED])} and {len(required) - _REQUIRED} more"
    else:
        names = " or ".join(part for part in (", ".join(required[:-1]), required[-1]) if part)
    return f"has no answer where {names} has no value: such events become dead letters"


def make_manifest(
    data: bytes,
    *,
    pipeline: str,
    inputs: Sequence[str],
    classes: Sequence[str],
    input_name: str,
    output_name: str,
    opset: int,
    golden_features: Floats32,
    golden_scores: Floats32,
    trainer: str,
    lineage: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    required: Sequence[str] = (),
) -> Manifest:
    """The manifest of these ONNX bytes. The same arguments give the same manifest: there is no time in it.

    `golden_features` is float32 (rows, inputs), `golden_scores` float32 (rows, outputs).
    """
    return Manifest(
        pipeline=pipeline,
        digest=digest_of(data),
        size_bytes=len(data),
        chunk_bytes=CHUNK_BYTES,
        chunk_digests=tuple(map(digest_of, split(data))),
        inputs=tuple(inputs),
        classes=tuple(classes),
        input_name=input_name,
        output_name=output_name,
        opset=opset,
        golden=Golden(
            rows=len(golden_features),
            features=golden_features.astype(_GOLDEN_TYPE).tobytes(),
            scores=golden_scores.astype(_GOLDEN_TYPE).tobytes(),
        ),
        trainer=trainer,
        lineage=dict(sorted((lineage or {}).items())),
        metrics=dict(sorted((metrics or {}).items())),
        required=tuple(required),
    )


def golden_rows(manifest: Manifest) -> tuple[Floats32, Floats32]:
    """Golden features (rows, inputs) and scores (rows, outputs), float32; the manifest must have passed its check."""
    golden = manifest.golden
    features = np.frombuffer(golden.features, _GOLDEN_TYPE).reshape(golden.rows, len(manifest.inputs))
    scores = np.frombuffer(golden.scores, _GOLDEN_TYPE).reshape(golden.rows, outputs_of(manifest))
    return features.astype(np.float32), scores.astype(np.float32)


def check_manifest(manifest: Manifest, contract: Contract) -> list[str]:
    """Everything in a manifest that breaks the contract or a limit, as sentences; empty if nothing does.

    Needs no model bytes, so that a manifest is refused before anything is fetched.
    """
    return [
        *_size_problems(manifest, contract.limits),
        *_contract_problems(manifest, contract),
        *_golden_problems(manifest),
    ]


def _size_problems(manifest: Manifest, limits: Limits) -> Iterator[str]:
    if manifest.size_bytes > limits.max_model_mb * MIB:
        yield f"the model's {manifest.size_bytes} bytes exceed the limit of {limits.max_model_mb} MiB."
    if not limits.min_chunk_bytes <= manifest.chunk_bytes <= limits.max_chunk_bytes:
        allowed = f"{limits.min_chunk_bytes} to {limits.max_chunk_bytes}"
        yield f"chunks of {manifest.chunk_bytes} bytes are not allowed, but {allowed}."
    chunks = chunk_count(manifest.size_bytes, manifest.chunk_bytes)
    if len(manifest.chunk_digests) != chunks:
        yield f"{len(manifest.chunk_digests)} chunks are listed; its size makes {chunks}."
    elif not all(map(_DIGEST.fullmatch, manifest.chunk_digests)):
        yield "a chunk's digest is not the lower-case hex of a sha256."
    if manifest.golden.rows > limits.max_golden_rows:
        yield f"{manifest.golden.rows} golden rows are more than {limits.max_golden_rows}."
    if len(manifest_to_json(manifest)) > limits.max_manifest_bytes:
        yield f"as JSON it is longer than {limits.max_manifest_bytes} bytes: take fewer golden rows or less lineage."


def _contract_problems(manifest: Manifest, contract: Contract) -> Iterator[str]:
    unknown = sorted(set(manifest.inputs) - set(contract.feature_names))
    if unknown:
        yield f"the pipeline has no feature {_listed(unknown)}: apply the specification that adds it first."
    if not manifest.inputs or len(set(manifest.inputs)) != len(manifest.inputs):
        yield "its inputs are empty or name a feature twice."
    if not set(manifest.required) <= set(manifest.inputs):
        yield "it requires values of features that are none of its inputs."
    if len(set(manifest.required)) != len(manifest.required):
        yield "it requires a feature twice."
    if manifest.classes != contract.classes:
        theirs, ours = _listed(manifest.classes), _listed(contract.classes)
        yield f"its classes are {theirs}, the pipeline's are {ours}, in this order."
    if not all(map(math.isfinite, manifest.metrics.values())):
        yield "a metric is not finite."


def _listed(names: Sequence[str]) -> str:
    """The first names, cut, and how many more there are: they are a stranger's, and a reason has to stay short."""
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return (", ".join(repr(name[:_NAME_CHARACTERS]) for name in names[:_NAMES]) or "none") + more


def _golden_problems(manifest: Manifest) -> Iterator[str]:
    golden = manifest.golden
    for name, data, width in (
        ("features", golden.features, len(manifest.inputs)),
        ("scores", golden.scores, outputs_of(manifest)),
    ):
        if len(data) != golden.rows * width * _GOLDEN_TYPE.itemsize:
            yield f"golden {name} hold {len(data)} bytes, not {golden.rows} × {width} float32."
            return
    if not np.isfinite(np.frombuffer(golden.scores, _GOLDEN_TYPE)).all():
        yield "golden scores are not all finite."


def manifest_to_json(manifest: Manifest) -> str:
    """The manifest as text, golden rows in base64; the same manifest gives the same text."""
    fields = manifest.model_dump()
    for name in ("features", "scores"):
        fields["golden"][name] = base64.b64encode(fields["golden"][name]).decode()
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def manifest_from_json(text: str | bytes) -> Manifest:
    """The manifest of `manifest_to_json`; raises ModelError on anything else."""
    try:
        fields = json.loads(text)
        for name in ("features", "scores"):
            fields["golden"][name] = base64.b64decode(fields["golden"][name], validate=True)
        manifest = Manifest.model_validate(fields)
        manifest_to_json(manifest).encode()  # JSON can spell text that no record can carry
        return manifest
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise ModelError("manifest_invalid", f"this is not a manifest: {error}. Pack the model again.") from error
