"""What drift says about the quality of answers. Source: `schemas/control/Evaluation.avsc`; a test compares both."""

from typing import Literal

from freshet.contracts.messages import Message


class Evaluation(Message):
    """How good one series of answers was over a range of the labelled log: counts that add up, not metrics."""

    pipeline: str
    series: str
    view: Literal["arrival", "closed"]
    first_row: int
    end_row: int
    through: int
    start_ms: int
    end_ms: int
    predictions: int
    rows: int
    classes: tuple[str, ...]
    confusion: bytes
    score_bins: bytes
    log_loss_sum: float
    absolute_sum: float
    squared_sum: float
    truth_sum: float
    truth_squared_sum: float
    versions: dict[str, int]
    epochs: tuple[int, ...]
    outcomes_topic: str = ""
