"""The log of profiles of made-up rows, and the watch that folds it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Floats, Ints
from freshet.contracts.messages import Alarm
from freshet.contracts.profile_messages import Frame, FrameKind
from freshet.detectors.input_detector import InputDetector
from freshet.detectors.input_series import TrainedOn
from freshet.detectors.input_watch import InputWatch, InputWatchState
from freshet.pipeline.profile_section import ProfileSpec
from freshet.profiles.bin_edges import BinEdges, answer_names, chosen, fixed
from freshet.profiles.frame_making import GroupedRows, content, unusual_rows
from freshet.profiles.frame_records import PlacedFrame

PIPELINE: Final = "p"
START_MS: Final = 1_789_992_000_000 // 3_600_000 * 3_600_000
ROWS: Final = 1024
_FIRST: Final = 512


class ProfileLog:
    """Frames of as many rows as are given, of one partition, `rate` rows a second; edges from the first 512 rows."""

    def __init__(self, rate: float = 100.0, rows: int = ROWS) -> None:
        self.rate, self.rows = rate, rows
        self.frames: list[PlacedFrame] = []
        self.edges: dict[str, BinEdges] = {}
        self.trained: dict[str, TrainedOn | None] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._chosen: dict[tuple[str, ...], BinEdges] = {}

    def features(self, values: Floats, names: Sequence[str] | None = None, partition: int = 0, number: int = 1) -> None:
        """Append the frames of these rows (m, n)."""
        named = tuple(names) if names else tuple(f"f{at}" for at in range(values.shape[1]))
        if named not in self._chosen:
            self._chosen[named] = chosen(named, values[:_FIRST].astype(np.float32))
        self._add("features", named, values, self._chosen[named], partition, number, [""], np.full(len(values), -1))

    def answers(self, scores: Floats, epochs: Ints | None = None, version: str = "1.0.0", partition: int = 0) -> None:
        """Append the frames of predictions with these scores of the second of two classes (m,)."""
        names = answer_names(("no", "yes"))
        values = np.column_stack([scores >= 0.5, np.maximum(scores, 1 - scores), scores])
        told = np.ones(len(scores), np.int64) if epochs is None else epochs
        self.trained.setdefault(version, None)
        self._add("answers", names, values, fixed(names, 2), partition, 1, [version], told)

    def _add(  # noqa: PLR0917
        self,
        kind: FrameKind,
        names: tuple[str, ...],
        values: Floats,
        edges: BinEdges,
        partition: int,
        number: int,
        versions: Sequence[str],
        epochs: Ints,
    ) -> None:
        self.edges[edges.id] = edges
        for first in range(0, len(values), self.rows):
            part = values[first : first + self.rows].astype(np.float32)
            begin = self._ends.get((kind, partition), 0)
            end = self._ends[kind, partition] = begin + len(part)
            there, groups = np.unique(epochs[first : first + self.rows], return_inverse=True)
            rows = GroupedRows(np.arange(begin, end), part, groups, (versions[0],) * len(there), tuple(there.tolist()))
            count, told = unusual_rows(names, rows, edges if kind == "features" else None)
            times = [START_MS + int(1000 * at / self.rate) for at in (begin, end - 1)]
            frame = Frame(
                pipeline=PIPELINE,
                kind=kind,
                partition=partition,
                number=number,
                topic="t",
                from_offset=begin,
                to_offset=end,
                first_ms=times[0],
                last_ms=times[1],
                refused=0,
                **{**content(names, rows, edges).fields(), "unusual_rows": count},
                unusual=tuple(told),
                state_from={},
            )
            self.frames.append(PlacedFrame(len(self.frames), times[1], frame))

    def watch(self, *detectors: InputDetector, **setting: Any) -> InputWatch:
        """The watch of these detectors."""
        spec = ProfileSpec(detectors=detectors, **setting) if detectors else ProfileSpec(**setting)
        return InputWatch(PIPELINE, Everywhere(spec), self.edges, self.trained)

    def alarms(self, *detectors: InputDetector, **setting: Any) -> list[Alarm]:
        """What they raise."""
        return self.watch(*detectors, **setting).fold(InputWatchState(), self.frames)[1]


class Everywhere(Mapping[int, ProfileSpec]):
    """One setting under every number."""

    def __init__(self, spec: ProfileSpec) -> None:
        self._spec = spec

    def __getitem__(self, number: int) -> ProfileSpec:
        return self._spec

    def __iter__(self) -> Iterator[int]:
        return iter((1,))

    def __len__(self) -> int:
        return 1
