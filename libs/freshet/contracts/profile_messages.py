"""What profiles are made of: frames of a partition's rows, and the edges between which all of them are counted."""

from typing import Literal

from pydantic import Field

from freshet.contracts.messages import Message

FrameKind = Literal["features", "answers"]


class UnusualRow(Message):
    """A row that lies far from the usual values; `score` is in usual distances from the median of `feature`."""

    offset: int
    score: float
    feature: str


class Frame(Message):
    """What the rows in the offsets [from, to) of one partition look like: counts that add up, columns as bytes."""

    pipeline: str
    kind: FrameKind
    partition: int = Field(ge=0)
    number: int
    topic: str
    from_offset: int = Field(ge=0)
    to_offset: int
    first_ms: int
    last_ms: int
    rows: int = Field(ge=1)
    refused: int = Field(ge=0)
    names: tuple[str, ...]
    edges: str
    bins_each: int = Field(ge=0)
    nulls: bytes
    infinite: bytes
    minimum: bytes
    maximum: bytes
    mean: bytes
    squares: bytes
    bins: bytes
    versions: tuple[str, ...]
    epochs: tuple[int, ...]
    group_rows: tuple[int, ...]
    unusual_rows: int = Field(ge=0)
    unusual: tuple[UnusualRow, ...]
    state_from: dict[str, int]


class Edges(Message):
    """Between which values the columns of a pipeline are counted; `EdgesBook` says which of its names are in force."""

    pipeline: str
    kind: FrameKind
    id: str
    names: tuple[str, ...]
    bins_each: int = Field(ge=2)
    edges: bytes
    centre: bytes
    distance: bytes
    topic: str
    partition: int = Field(ge=0)
    from_offset: int
    to_offset: int
    rows: int = Field(ge=1)
