"""A broken part of each kind fails its check, with a sentence that says what is wrong."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from freshet import testing
from freshet.avro import Columns
from freshet.avro.rows import Rows
from freshet.contracts.arrays import Floats32
from freshet.contracts.batch import Batch
from freshet.features.event_columns import numbers, one_column
from freshet.features.transform import Domain
from freshet.features.transforms.field import FieldTransform
from freshet.ingestion.core.decoders.json import JsonDecoder
from freshet.registry.core.policies.gated import Gated
from freshet.registry.core.policies.immediate import Immediate
from freshet.registry.core.policies.manual import Manual
from freshet.registry.core.policy import Opinion, View
from freshet.testing import (
    ConformanceError,
    check_decoder,
    check_policy,
    check_stateful_logic,
    check_transform,
)
from support.loops import REFERENCE
from support.stateful import SERVICE, Checkpointed, Counter, Slabbed


def test_the_public_names() -> None:
    """What a user's tests import stays, or goes with a line in the changelog."""
    assert testing.__all__ == [
        "EVENT_SCHEMA",
        "EVENT_SCHEMA_ID",
        "ConformanceError",
        "ManualClock",
        "MemoryBus",
        "MemoryCluster",
        "MemoryPipeline",
        "SimulatedCrash",
        "check_decider",
        "check_decoder",
        "check_logic",
        "check_policy",
        "check_stateful_logic",
        "check_transform",
    ]
    assert all(hasattr(testing, name) for name in testing.__all__)


class Centred(FieldTransform):
    """Minus the batch's mean."""

    def compute(self, columns: Columns) -> Floats32:
        values = numbers(columns[self.of])
        return one_column(values - values[np.isfinite(values)].mean() if values.size else values)


class Wide(FieldTransform):
    """In double."""

    def compute(self, columns: Columns) -> Floats32:
        return super().compute(columns).astype(np.float64)


class Unshaped(FieldTransform):
    """Without a second dimension."""

    def compute(self, columns: Columns) -> Floats32:
        return super().compute(columns)[:, 0]


class Nameless(FieldTransform):
    """With an empty name."""

    def names(self) -> tuple[str, ...]:
        return ("",)


class Twins(FieldTransform):
    """Two features of one name."""

    def names(self) -> tuple[str, ...]:
        return ("x", "x")


class Forgetful(FieldTransform):
    """Does not count on nulls."""

    def compute(self, columns: Columns) -> Floats32:
        return one_column(np.asarray(columns[self.of]).astype(np.float64))


class Greedy(FieldTransform):
    """Turns no value into the largest."""

    def compute(self, columns: Columns) -> Floats32:
        made = super().compute(columns)
        return np.where(np.isnan(made), np.float32(math.inf), made)


class Counting(FieldTransform):
    """Remembers how often it was asked."""

    def compute(self, columns: Columns) -> Floats32:
        object.__setattr__(self, "since", self.since + 1)
        return super().compute(columns) * self.since


class Beyond(FieldTransform):
    """Has other values than it says."""

    def domains(self) -> tuple[Domain, ...]:
        return (Domain(low=0, high=1),)


class Elsewhere(FieldTransform):
    """Reads a field that it was not told."""

    def inputs(self) -> tuple[str, ...]:
        return (self.of, "amount")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Centred, r"with each row alone gives .* a prediction may not depend on which events arrive together"),
        (Wide, "gives float64; it must be float32"),
        (Unshaped, r"gives shape \(263,\) for 263 rows; it must be \(263, 1\)"),
        (Nameless, "must name its features"),
        (Twins, "gives two features one name"),
        (Forgetful, r"`compute` must take every value of its fields"),
        (Greedy, "gives infinity where a field has no value"),
        (Counting, "gives other features when it is asked again"),
        (Beyond, "gives .* the value .*, outside Domain"),
        (Elsewhere, "reads amount, which no parameter names"),
    ],
)
def test_a_broken_transform_is_told_what_is_wrong(part: type[FieldTransform], said: str) -> None:
    """Each is `field` with one fault."""
    with pytest.raises(ConformanceError, match=said):
        check_transform(part, {"of": "$"})


def test_a_transform_without_fitting_examples_is_not_passed() -> None:
    """A check that looked at nothing would say that all is well."""
    with pytest.raises(ConformanceError, match="no parameters at all"):
        check_transform(FieldTransform)
    with pytest.raises(ConformanceError, match=r"does not take the parameters .*off"):
        check_transform(FieldTransform, {"off": "$"})


class Raising(JsonDecoder):
    """Lets the parser's error out."""

    def _judged(self, value: bytes | None) -> dict[str, Any]:
        return dict(json.loads(value or b""))


class Dropping(JsonDecoder):
    """Forgets what it refused."""

    def read(self, values: Any) -> Rows:
        rows = super().read(values)
        return Rows(rows.at, rows.columns, [])


class Guessing(JsonDecoder):
    """Reads what is no event as the last good one was."""

    _last: dict[str, Any] | None = None

    def _record(self, value: bytes | None) -> dict[str, Any]:
        if not value and self._last:
            return self._last
        self._last = super()._record(value)
        return self._last


class Rounding(JsonDecoder):
    """Loses digits."""

    def _record(self, value: bytes | None) -> dict[str, Any]:
        record = super()._record(value)
        return {**record, "amount": round(record["amount"], 2)}


class Boundless(JsonDecoder):
    """Knows no cap."""

    def __init__(self, *arguments: Any, max_bytes: int, ignore_unknown: bool = False) -> None:
        super().__init__(*arguments, max_bytes=10**9, ignore_unknown=ignore_unknown)


def as_json(event: Mapping[str, Any]) -> bytes:
    """As a producer writes it."""
    return json.dumps(event).encode()


@pytest.mark.parametrize(
    ("part", "write", "said"),
    [
        (Raising, as_json, r"raises JSONDecodeError .*`read` may never raise"),
        (Dropping, as_json, r"accounts for the rows \[0, 2\] of 3 values"),
        (Guessing, as_json, r"must refuse a null value as input_empty; it says \[\]"),
        (Rounding, as_json, r"of field 'amount' of good events; it must be"),
        (Boundless, as_json, r"must refuse a value longer than `max_bytes` as input_too_large"),
        (
            JsonDecoder,
            lambda event: as_json({**event, "small": "1"}),
            r"refuses the good event .*small: must be a whole",
        ),
    ],
)
def test_a_broken_decoder_is_told_what_is_wrong(
    part: type[JsonDecoder], write: Callable[[Mapping[str, Any]], bytes], said: str
) -> None:
    """Each is `json` with one fault; in the last one it is the test's producer that is wrong."""
    with pytest.raises(ConformanceError, match=said):
        check_decoder(part, write)


class Restless(Immediate):
    """Tries again and again what the workers cannot hold."""

    def choose(self, view: View) -> str | None:
        newest = view.versions[-1] if view.versions else None
        may = newest is not None and newest.state == "admitted" and newest.version != view.serving
        return newest.version if may and newest is not None else None


class Careless(Immediate):
    """Does not look at what became of the newest."""

    def choose(self, view: View) -> str | None:
        newest = view.versions[-1].version if view.versions else None
        return newest if newest not in view.tried else None


class Moody(Manual):
    """Chooses at every other time."""

    asked = 0

    def choose(self, view: View) -> str | None:
        Moody.asked += 1
        usable = [
            known.version for known in view.versions if known.state == "admitted" and known.version != view.serving
        ]
        return usable[0] if usable and Moody.asked % 2 else None


class Stubborn(Immediate):
    """Remembers what served, and puts the newest of it back."""

    served: ClassVar[set[str]] = set()

    def choose(self, view: View) -> str | None:
        if len(view.versions) < 2:
            self.served.clear()
        self.served.add(view.serving)
        known = [known.version for known in view.versions if known.state == "admitted" and known.version in self.served]
        return super().choose(view) or (known[-1] if known and known[-1] != view.serving else None)


class Talkative(Gated):
    """Does not look at what it has told already."""

    def opinion(self, view: View) -> Opinion | None:
        newest = view.versions[-1].version if view.versions else ""
        return Opinion(newest, "done", "gate: passed.", {}) if newest in view.records else None


class Mute(Gated):
    """Gives no reason."""

    def opinion(self, view: View) -> Opinion | None:
        said = super().opinion(view)
        return None if said is None else replace(said, reason="")


class Undecided(Gated):
    """Says another thing each time."""

    asked = 0

    def opinion(self, view: View) -> Opinion | None:
        Undecided.asked += 1
        said = super().opinion(view)
        return None if said is None else replace(said, reason=f"gate: passed, {Undecided.asked}")


class Fearless(Gated):
    """Rolls out what it was told of, over and over."""

    def choose(self, view: View) -> str | None:
        usable = [
            name
            for name, record in view.records.items()
            if record.state == "admitted" and name != view.serving and len(record.history) > 1
        ]
        return usable[-1] if usable else None


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Talkative, r"it tells its opinion of 1\.0\.0 again"),
        (Mute, r"must give a reason"),
        (Undecided, r"has two opinions"),
        (Fearless, r"one rollout after the other"),
        (
            Restless,
            r"after bad model it begins one rollout after the other although nothing else changes, 1\.0\.0 again",
        ),
        (Careless, r"chooses '2\.0\.0' in a view of .*2\.0\.0 retired.*it may only choose an admitted version"),
        (Moody, r"and asked again .*it may depend on nothing but the view"),
        (Stubborn, r"it replaces 1\.0\.0 by 1\.1\.0: what an operator rolled back to must stay"),
    ],
)
def test_a_broken_policy_is_told_what_is_wrong(part: type[Immediate], said: str) -> None:
    """Each is one of ours with one fault."""
    with pytest.raises(ConformanceError, match=said):
        check_policy(part)


class Unstaged(Slabbed):
    """Keeps what a refused batch has staged."""

    def discarded(self, partition: int) -> None:
        self.committed(partition)


class HalfDumped(Checkpointed):
    """Forgets one input when it is written down."""

    def load(self, partition: int, body: bytes) -> None:
        super().load(partition, body)
        self.states[partition]["labels"].rows.clear()


class Ordered(Counter):
    """Remembers how its inputs were interleaved."""

    def _row(self, batch: Batch, row: int, weight: int) -> Any:
        known = super()._row(batch, row, weight)
        return known._replace(weight=sum(len(log.rows) for log in self.states[int(batch.partitions[row])].values()))


@pytest.mark.parametrize("part", [Unstaged, HalfDumped, Ordered])
def test_a_broken_logic_with_state_is_told_what_is_wrong(part: type[Counter]) -> None:
    """The seed says how to have it again, and both states are shown."""
    with pytest.raises(ConformanceError, match=r"seed \d+, after \d+ acts .*the state of partition \d is not what"):
        check_stateful_logic(part, SERVICE, references=(REFERENCE,))


def test_a_logic_that_raises_is_told_where() -> None:
    """Whatever it raises."""

    class Failing(Counter):
        def committed(self, partition: int) -> None:
            raise KeyError(partition)

    with pytest.raises(ConformanceError, match=r"Failing, seed 0, after \d+ acts .*KeyError"):
        check_stateful_logic(Failing, SERVICE, references=(REFERENCE,))
