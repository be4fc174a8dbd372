"""The judge: pure functions from evidence to a judgement. Knows nothing of how the evidence was made."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from freshet.contracts.arrays import Ints
from freshet.contracts.messages import Cutover
from freshet.operate.verify.answered import Exit, Gone, Stage
from freshet.operate.verify.chain import chain
from freshet.operate.verify.contradictions import contradictions
from freshet.operate.verify.evidence import (
    EMPTIED,
    Answers,
    Evidence,
    Inputs,
    Labels,
    Letters,
    Life,
    Output,
    Told,
    Vectors,
)
from freshet.operate.verify.explained import positions
from freshet.operate.verify.findings import Finding, Judgement, Unjudged, finding, listed
from freshet.operate.verify.misplaced import misplaced
from freshet.operate.verify.order import order, scattered, scattered_warning
from freshet.operate.verify.places import NOTHING, identity
from freshet.operate.verify.repeated import repeated
from freshet.operate.verify.signatures import signatures
from freshet.runtime import dead_letter_records

__all__ = ["Finding", "Judgement", "Unjudged", "judge"]


def judge(evidence: Evidence, recomputed: Finding | None = None, left_out: Sequence[Unjudged] = ()) -> Judgement:
    """Judge P1 and P2. Every check is made even where an earlier one failed.

    `recomputed` is what came of scoring a sample again, and `left_out` what of it could not be; see `scores`.
    """
    vectors = _stage("feature vector", "features", evidence.features_read, evidence.predictions, evidence)
    events = _stage("event", "events", evidence.events, evidence.features, evidence)
    events = replace(events, gone=_gone(evidence) if vectors.relived else None)
    feedback = _stage("feedback record", "feedback", evidence.feedback, evidence.labels, evidence)
    stages = (events, feedback, vectors)
    predictions = vectors.of_present(evidence.predictions)
    features = events.of_present(evidence.features)
    findings = [one for stage in stages for one in stage.findings()]
    findings += [order(features), order(predictions)]
    findings += chain(predictions, evidence.features, evidence.history.ledger.versions.records)
    labels = feedback.of_present(evidence.labels)
    findings += repeated(features, labels, predictions, evidence.history.spec_widths)
    findings += _bytes(evidence)
    findings += positions(evidence, predictions)
    findings += contradictions(evidence.history)
    signed = signatures(evidence.history)
    findings += signed.findings
    findings += [recomputed] if recomputed is not None else []
    return Judgement(
        tuple(findings),
        answered=len(evidence.predictions.ids),
        dead=sum(len(letters.ids) for letters in evidence.letters.values()),
        pending=sum(stage.pending for stage in stages),
        inputs={stage.role: len(stage.inputs.ids) for stage in stages},
        judged=sum(stage.judged for stage in stages),
        unjudged=(
            *(one for stage in stages for one in stage.unjudged() if one.count),
            *_unread(evidence.registry_trouble, features, labels),
            *signed.unjudged,
            *left_out,
        ),
        warnings=tuple(_warnings(evidence, stages)),
    )


def _stage(noun: str, role: str, inputs: Inputs, answers: Answers, evidence: Evidence) -> Stage:
    letters = evidence.letters.get(role, Letters(dead_letter_records.ROLE))
    exits = (
        # ingestion keys by entity, inference keeps the partition
        Exit(evidence.outputs.get(answers.role, Output()), answers, same_partition=role == "features"),
        Exit(evidence.outputs.get(dead_letter_records.ROLE, Output()), letters, same_partition=True),
    )
    lives = np.concatenate([answers.lives, letters.lives])
    relived = bool((lives == Life.EARLIER).any() or inputs.of_earlier_life)
    relived |= role == "features" and evidence.history.earlier_cutovers > 0
    return Stage(noun, role, inputs, exits, relived)


def _gone(evidence: Evidence) -> Gone:
    """What predictions still tell of the vectors that went with an earlier features topic."""
    predictions = evidence.predictions
    told = (predictions.lives == Life.EARLIER) & (predictions.source_lives == Life.PRESENT)
    since_ms = int(evidence.features_read.times_ms.min(initial=EMPTIED))
    return Gone(predictions.sources[told], since_ms)


def _unread(registry_trouble: str, *answers: Vectors | Labels) -> Iterator[Unjudged]:
    """Answers that could not be compared with their records."""
    why = f", for {registry_trouble.removesuffix('.')}" if registry_trouble else ""
    for one in answers:
        count = int((one.others == Told.UNREADABLE).sum())
        if count:
            told = f"that could not be compared with their records, which cannot be read here{why}"
            yield Unjudged(one.role, count, told)


def _bytes(evidence: Evidence) -> Iterator[Finding]:
    """Dead letters hold what they set aside; nobody but Freshet writes its outputs, and no transaction hangs there."""
    letters = list(evidence.letters.values())
    compared = sum(int((one.others >= 0).sum()) for one in letters)
    others = np.concatenate([NOTHING, *(one.ids[one.others == 1] for one in letters)])
    yield finding("P1", "dead letters hold the bytes of their records", compared, others)
    foreign = [f"{role} {example}" for role, output in evidence.outputs.items() for example in _places(output)]
    count = sum(len(output.foreign) for output in evidence.outputs.values())
    records = sum(output.records for output in evidence.outputs.values())
    yield listed("P1", "only Freshet writes its outputs", records, foreign, count)
    hidden = [
        f"{role}/{partition}: offsets {first:,} to {last:,} are hidden"
        for role, output in evidence.outputs.items()
        for partition, (first, last) in sorted(output.hidden.items())
    ]
    partitions = sum(output.partitions for output in evidence.outputs.values())
    yield listed("P1", f"no transaction is open for {evidence.patience_s:.0f} s", partitions, hidden)


def _places(output: Output) -> tuple[str, ...]:
    return finding("", "", 0, output.foreign).examples


def _warnings(evidence: Evidence, stages: tuple[Stage, ...]) -> Iterator[str]:
    for stage in stages:
        for partition, offset in sorted(stage.inputs.of_earlier_life.items()):
            yield (
                f"The committed offset {offset:,} of {stage.role}/{partition} is of an earlier life of the topic, and "
                "counts for nothing: the service has not started on the topic that is there now."
            )
        yield from misplaced(stage.role, stage.inputs.standing, stage.answered, stage.inputs.ends)
    yield from evidence.history.foreign
    yield from _unknown_lives(evidence)
    yield from _emptied(evidence.history.cutovers, stages[-1].lost)
    entities, rows = scattered(evidence.features)
    if entities.size:
        entity = int(entities[0])
        name = evidence.entity_names.get(entity, f"of the vector at row {rows[0]}")
        yield scattered_warning(evidence.features, entity, name, len(entities))


def _unknown_lives(evidence: Evidence) -> Iterator[str]:
    """The first answer to a life of the features topic is committed with a cut-over that names it, which stays."""
    known = evidence.history.cutover_topics | evidence.features_read.named
    strange = {life: count for life, count in evidence.predictions.other_lives.items() if life not in known}
    if strange:
        yield (
            f"{sum(strange.values()):,} predictions name a features topic that no cut-over and no committed offset "
            f"ever named (id {min(strange)}{', and others' if len(strange) > 1 else ''}): there may never have "
            "been one. Find out who wrote them; they are not judged."
        )


def _emptied(cutovers: Sequence[Cutover], lost: Ints) -> Iterator[str]:
    """A cut-over and the answer to its first offset are written in one transaction, so one without the other was taken.

    No record tells more of it: what an emptied topic held counts as lost, and this is the explanation.
    """
    firsts: dict[int, int] = {}
    for cut in cutovers:
        firsts[cut.partition] = min(cut.first_offset, firsts.get(cut.partition, cut.first_offset))
    places = identity(np.array(list(firsts), np.int64), np.array(list(firsts.values()), np.int64))
    if firsts and np.isin(places, lost).all():
        yield (
            "The first prediction of each features partition is missing, but not the cut-over that was written in the "
            "same transaction: the predictions topic was emptied or made anew. What it held counts as lost; judge what "
            "came since with `freshet verify --since TIME`."
        )
