"""Predictions as JSON rows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Columns = Mapping[str, Any]
"""As `freshet.client.Predictions` has them."""


def prediction_row(columns: Columns, row: int, classes: Sequence[str]) -> dict[str, Any]:
    """One prediction; `scores` by class, or `value` where the pipeline predicts a number."""
    scores = [_number(score) for score in columns["scores"][row].tolist()]
    said = {"label": str(columns["label"][row]), "scores": dict(zip(classes, scores, strict=False))}
    return {
        "event_id": str(columns["event_id"][row]),
        "entity": str(columns["entity"][row]),
        **(said if classes else {"value": scores[0] if scores else None}),
        "version": str(columns["version"][row]),
        "epoch": int(columns["epoch"][row]),
        "fallback": bool(columns["fallback"][row]),
        "answered_at": f"{columns['answered_at'][row]}Z",
        "partition": int(columns["partition"][row]),
        "offset": int(columns["offset"][row]),
    }


def _number(score: float) -> float | None:
    """JSON has no NaN."""
    return score if math.isfinite(score) else None
