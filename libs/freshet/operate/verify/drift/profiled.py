"""Judges profiles: the alarms that follow from them, and a sample of frames against the rows that they count."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from freshet.avro import Ragged, Strings
from freshet.avro.framed import FramedReader
from freshet.avro.rows import Rows
from freshet.contracts.arrays import Floats32, Ints
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Alarm
from freshet.contracts.position import unstamped
from freshet.contracts.profile_messages import Frame
from freshet.detectors.input_watch import InputWatch, InputWatchState
from freshet.operate.alarm_log import every_telling
from freshet.operate.profile_log import facts_of, first_offset, frames
from freshet.operate.verify.drift.log_counts import PROMISE
from freshet.operate.verify.drift.retold import Retold, Said
from freshet.operate.verify.findings import Finding, Unjudged, listed
from freshet.pipeline.watched_inputs import WatchedInputs
from freshet.profiles.frame_content import FrameContent
from freshet.profiles.frame_making import GroupedRows, content
from freshet.profiles.frame_records import PROFILES, PlacedFrame
from freshet.runtime.bus.protocol import Bus, Committed, Place
from freshet.runtime.reading import everything

SAMPLED: Final = 20
"""So many frames are counted again, spread evenly over the log."""
_MAX_BYTES: Final = 1 << 20
_BY_CPU: Final = {"statistic", "threshold", "effect", "attribution", "text", "profiles_topic"}
_Read = tuple[Ints, Floats32, list[str], Ints]
"""Offsets, values, versions and epochs of rows."""
_INPUTS: Final = {"features": ("features", "FeatureVector"), "answers": ("predictions", "Prediction")}


@dataclass(slots=True)
class ProfileJudgement:
    """What came of it; `pending` are alarms that comparison has still to raise."""

    findings: list[Finding] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)
    pending: int = 0


def judge_profiles(
    bus: Bus, pipeline: str, committed: Callable[[str, str], Mapping[int, Committed]]
) -> ProfileJudgement:
    """Judge the profiles of a pipeline and the alarms about them, as far as retention has left them.

    `committed` gives the offsets of a service's group on a role's topic. Nothing is said where there are no frames.
    """
    expired = first_offset(bus, PROFILES) > 0
    said = Said("compare", "input alarm", list(_told(bus, pipeline)), _reached(bus, committed))
    log, found = list(frames(bus, pipeline)), ProfileJudgement()
    if not log:
        return found
    facts = facts_of(bus, pipeline)
    if expired:
        why = "about profiles whose oldest frames have expired: a reference is learned from the beginning"
        found.unjudged.append(Unjudged("input alarms", len(said.messages), why))
    elif said.has_run:
        watch = InputWatch(pipeline, facts.profiles, facts.edges, facts.trained)
        _judge_alarms(found, watch, said, log)
    _judge_frames(found, bus, log, facts)
    return found


def _judge_alarms(found: ProfileJudgement, watch: InputWatch, said: Said[Alarm], log: Sequence[PlacedFrame]) -> None:
    """Fold the log again, as far as that goes."""
    retold = Retold(
        said,
        lambda one: one.id,
        lambda one: one.through,
        lambda one: f"{one.detector} {one.id}",
        lambda one, due: one.model_dump(exclude=_BY_CPU) == due.model_dump(exclude=_BY_CPU),
        log[0].at_ms,
        log="the profiles",
    )
    state = InputWatchState()
    for at, placed in enumerate(log):
        try:
            if lacking := watch.lacks([placed]):
                raise ContractError(f"{lacking} is not on the control topics")
            state, alarms = watch.fold(state, [placed])
        except ContractError as error:
            why = f"from which no input alarm can be made: {error}"
            found.unjudged.append(Unjudged("profiles", len(log) - at, why))
            return
        for alarm in alarms:
            retold.must(alarm, placed.at_ms)
    found.findings += retold.findings()
    found.unjudged += [one for one in retold.unjudged() if one.count]
    found.pending = retold.pending


def _judge_frames(found: ProfileJudgement, bus: Bus, log: Sequence[PlacedFrame], facts: WatchedInputs) -> None:
    """Count the rows of some frames again."""
    wrong, gone, looked = list[str](), 0, 0
    for placed in log[:: max(1, len(log) // SAMPLED)]:
        frame = placed.frame
        role, _ = _INPUTS[frame.kind]
        span = bus.spans(role).get(frame.partition)
        if span is None or span.low > frame.from_offset or bus.topic_id(role) not in {"", frame.topic}:
            gone += 1
            continue
        looked += 1
        if not _same(frame, bus, facts):
            wrong.append(f"{frame.kind} {frame.partition}/{frame.from_offset}")
    found.findings.append(listed(PROMISE, "frames count the rows that they name (a sample)", looked, wrong))
    if gone:
        found.unjudged.append(Unjudged("frames", gone, "whose rows have expired, or were in an earlier topic"))


def _same(frame: Frame, bus: Bus, facts: WatchedInputs) -> bool:
    """Whether the rows that are there give the frame's counts."""
    role, record = _INPUTS[frame.kind]
    reader = FramedReader.of(record, max_bytes=_MAX_BYTES)
    parts, records = list[_Read](), 0
    for batch in _between(bus, role, frame):
        parts.append(_rows(frame, batch, reader.read(batch.values), facts.classes))
        records += len(batch)
    if records != frame.rows + frame.refused or (frame.edges and frame.edges not in facts.edges):
        return False
    offsets, values, epochs = (np.concatenate([part[at] for part in parts]) for at in (0, 1, 3))
    versions = [name for part in parts for name in part[2]]
    places = {key: at for at, key in enumerate(zip(frame.versions, frame.epochs, strict=True))}
    groups = np.array([places.get(key, -1) for key in zip(versions, epochs.tolist(), strict=True)], np.int64)
    if len(offsets) != frame.rows or values.shape[1] != len(frame.names) or (groups < 0).any():
        return False
    rows = GroupedRows(offsets, values, groups, frame.versions, frame.epochs)
    return _alike(FrameContent.of(frame), content(frame.names, rows, facts.edges.get(frame.edges)))


def _between(bus: Bus, role: str, frame: Frame) -> Iterator[Batch]:
    """The records of the frame's offsets."""
    for batch in everything(bus, role, {Place(role, frame.partition): frame.from_offset}):
        inside = int(np.searchsorted(batch.offsets, frame.to_offset))
        if inside:
            yield Batch(role, batch.records[:inside])
        if inside < len(batch) or int(batch.offsets[-1]) >= frame.to_offset - 1:
            return


def _rows(frame: Frame, batch: Batch, rows: Rows, classes: Sequence[str]) -> _Read:
    """Offsets, counted values, versions and epochs of the sound records."""
    if frame.kind == "features":
        values: Any = rows.columns["values"]
        good = np.flatnonzero(values.lengths == len(frame.names))
        matrix = values.take(good).matrix(len(frame.names))
        return batch.offsets[rows.at[good]], matrix, [""] * good.size, np.full(good.size, -1)
    scores, versions, labels = (rows.columns[name] for name in ("scores", "version", "label"))
    assert isinstance(scores, Ragged)
    assert isinstance(versions, Strings)
    assert isinstance(labels, Strings)
    kept = np.flatnonzero(scores.lengths == (len(classes) or 1))
    matrix = scores.take(kept).matrix(len(classes) or 1)
    sound = np.isfinite(matrix).all(axis=1)
    if classes:
        places = {name: at for at, name in enumerate(classes)}
        answers = np.array([places.get(name, -1) for name in labels.take(kept).tolist()], np.int64)
        sound &= answers >= 0
        shown = matrix if len(classes) > 2 else matrix[:, 1:]
        every = np.column_stack([answers.astype(np.float32), matrix.max(axis=1, initial=0.0), shown])
        matrix = every[:, : len(frame.names)]  # of very many classes scores are not counted
    kept, matrix = kept[sound], matrix[sound]
    epochs = np.asarray(rows.columns["epoch"])[kept].astype(np.int64)
    return batch.offsets[rows.at[kept]], matrix.astype(np.float32), versions.take(kept).tolist(), epochs


def _alike(said: FrameContent, again: FrameContent) -> bool:
    """Counts to the last one; sums may differ in the last digits on another machine."""
    exact = all(
        np.array_equal(getattr(said, name), getattr(again, name), equal_nan=name in {"minimum", "maximum"})
        for name in ("nulls", "infinite", "minimum", "maximum", "bins")
    )
    near = (
        np.allclose(getattr(said, name), getattr(again, name), rtol=1e-9, atol=1e-9) for name in ("mean", "squares")
    )
    return exact and all(near)


def _told(bus: Bus, pipeline: str) -> Iterator[tuple[int, Alarm]]:
    """Alarms about profiles, with when they were appended; what a stranger wrote is named elsewhere."""
    for at_ms, alarm in every_telling(bus, pipeline):
        if alarm.pipeline == pipeline and alarm.watched != "outcomes":
            yield at_ms, alarm


def _reached(bus: Bus, committed: Callable[[str, str], Mapping[int, Committed]]) -> int | None:
    """The next offset of the profiles that comparison reads; None if it has not run on the topic of now."""
    at = committed("drift-compare", PROFILES).get(0)
    if at is None:
        return None
    _, life, _ = unstamped(at.metadata, at.offset)
    return at.offset if not life or life == bus.topic_id(PROFILES) else None
