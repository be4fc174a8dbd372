"""The labelled log of one partition against the rows that follow from its predictions and labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from freshet.contracts.arrays import Bools
from freshet.operate.verify.drift.compared import Table, differing, never_back
from freshet.operate.verify.drift.log_counts import PROMISE, PartitionLog
from freshet.operate.verify.drift.pairing import Expected, expected
from freshet.operate.verify.drift.read_logs import InputLog
from freshet.operate.verify.drift.windows import Windows
from freshet.operate.verify.findings import EXAMPLES, Finding, Unjudged, listed
from freshet.outcomes.outcome_rows import ABSENT

_BY_SILENCE: Final = {"expired", "open", "unknown", "waiting"}


@dataclass(frozen=True, slots=True)
class Paired:
    """What came of one partition."""

    judged: int
    """Rows that must be there."""
    missing: int
    beyond: int
    examples_missing: tuple[str, ...]
    examples_beyond: tuple[str, ...]
    counted: int
    """Whether its counts could be judged."""
    wrong_counts: tuple[str, ...]
    unjudged_predictions: int
    unjudged_rows: int
    unsure: int


def paired(
    part: PartitionLog, asked: InputLog, told: InputLog, windows: Mapping[int, Windows], since_ms: int = 0
) -> Paired:
    """Judge one partition. `windows` are those of all specifications that it was joined under."""
    reach, wait = max(of.reach for of in windows.values()), max(of.wait for of in windows.values())
    edge_ms = asked.sure_from_ms(reach)
    absent = part.rows["prediction"][part.rows["flags"] & ABSENT != 0]
    must = expected(asked.rows, told.rows, windows, edge_ms, absent)
    sure_ms = max(edge_ms, told.sure_from_ms(wait), since_ms)
    late_enough: Bools = never_back(asked.rows["time_ms"]) >= sure_ms
    if part.before is not None:  # what was written of older predictions may have expired
        late_enough &= asked.rows["offset"] >= part.before.get("predictions", 0)
    first = int(asked.rows["offset"][late_enough].min(initial=part.inputs.get("predictions", 0)))
    due, rows = _judged(must.rows, first, must), _judged(part.rows, first, must)
    missing, beyond = differing(due, rows)
    whole = not (asked.cut or told.cut or since_ms or part.before is not None or must.unsure.size)
    counts_judged = whole and len(set(windows.values())) == 1
    return Paired(
        judged=due.size,
        missing=missing.size,
        beyond=beyond.size,
        examples_missing=_named(part.partition, missing),
        examples_beyond=_named(part.partition, beyond),
        counted=int(counts_judged),
        wrong_counts=tuple(_wrong_counts(part, must)) if counts_judged else (),
        unjudged_predictions=0 if since_ms else int(np.count_nonzero(asked.rows["offset"] < first)),
        unjudged_rows=0 if since_ms else int(np.count_nonzero(part.rows["prediction"] < first)),
        unsure=int(np.count_nonzero(must.unsure >= first)),
    )


def _judged(rows: Table, first: int, must: Expected) -> Table:
    kept: Table = rows[(rows["prediction"] >= first) & ~np.isin(rows["prediction"], must.unsure)]
    return kept


def _named(partition: int, rows: Table) -> tuple[str, ...]:
    return tuple(
        f"{partition}/{row['prediction']} with label {row['label'] if row['label'] >= 0 else 'by absence'} "
        f"({row['weight']:+d})"
        for row in rows[:EXAMPLES]
    )


def _wrong_counts(part: PartitionLog, must: Expected) -> Iterator[str]:
    names: dict[str, tuple[str, ...]] = {name: (name,) for name in (*must.counts, *part.counts)}
    if must.silence:  # which of the two it was by then depends on when nothing came
        names = {name: parts for name, parts in names.items() if name not in _BY_SILENCE} | {
            " or ".join(pair): pair for pair in (("expired", "open"), ("unknown", "waiting"))
        }
    for name, parts in sorted(names.items()):
        due, found = (sum(counts.get(one, 0) for one in parts) for counts in (must.counts, part.counts))
        if due != found:
            yield f"partition {part.partition}: {found:,} {name}, not {due:,}"


def findings(parts: Sequence[Paired]) -> Iterator[Finding]:
    """The checks, over all partitions."""
    judged = sum(part.judged for part in parts)
    missing = [example for part in parts for example in part.examples_missing]
    yield listed(PROMISE, "labels meet their predictions", judged, missing, sum(part.missing for part in parts))
    beyond = [example for part in parts for example in part.examples_beyond]
    yield listed(
        PROMISE, "rows follow from a prediction and its labels", judged, beyond, sum(part.beyond for part in parts)
    )
    wrong = [text for part in parts for text in part.wrong_counts]
    counted = sum(part.counted for part in parts)
    yield listed(PROMISE, "counts are those of predictions and labels", counted, wrong)


def unjudged(parts: Sequence[Paired]) -> Iterator[Unjudged]:
    """What could not be judged, and why."""
    expired = "of which retention may have taken an earlier one of its id, its labels, or its rows"
    yield Unjudged("predictions", sum(part.unjudged_predictions for part in parts), expired)
    yield Unjudged("outcomes", sum(part.unjudged_rows for part in parts), "rows about such predictions")
    unsure = "whose id came before, where retention or another `label` stanza hides what that means"
    yield Unjudged("predictions", sum(part.unsure for part in parts), unsure)
