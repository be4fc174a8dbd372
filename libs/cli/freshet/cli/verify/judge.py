"""The judge: pure functions from evidence to a judgement. Knows nothing of how the evidence was made."""

from collections.abc import Iterator, Sequence

import numpy as np

from freshet.cli.verify.answered import Exit, Stage
from freshet.cli.verify.chain import chain
from freshet.cli.verify.epochs import epochs
from freshet.cli.verify.evidence import Answers, Evidence, Inputs, Letters, Life, Output
from freshet.cli.verify.findings import Finding, Judgement, Unjudged, finding, listed
from freshet.cli.verify.order import order, scattered, scattered_warning
from freshet.cli.verify.places import NOTHING
from freshet.cli.verify.positions import positions
from freshet.runtime import dead_letters

__all__ = ["Finding", "Judgement", "Unjudged", "judge"]


def judge(evidence: Evidence, recomputed: Finding | None = None, left_out: Sequence[Unjudged] = ()) -> Judgement:
    """Judge P1 and P2. Every check is made even where an earlier one failed.

    `recomputed` is what came of scoring a sample again, and `left_out` what of it could not be; see `scores`.
    """
    events = _stage("event", "events", evidence.events, evidence.features, evidence)
    feedback = _stage("feedback record", "feedback", evidence.feedback, evidence.labels, evidence)
    vectors = _stage("feature vector", "features", evidence.features_read, evidence.predictions, evidence)
    stages = (events, feedback, vectors)
    predictions = vectors.of_present(evidence.predictions)
    features = events.of_present(evidence.features)
    findings = [one for stage in stages for one in stage.findings()]
    findings += [order(features), order(predictions)]
    findings += chain(predictions, evidence.features, evidence.history.manifests)
    findings += _bytes(evidence)
    findings += positions(evidence, predictions)
    findings += epochs(evidence.history)
    findings += [recomputed] if recomputed is not None else []
    return Judgement(
        tuple(findings),
        answered=len(evidence.predictions.ids),
        dead=sum(len(letters.ids) for letters in evidence.letters.values()),
        pending=sum(stage.pending for stage in stages),
        inputs={stage.role: len(stage.inputs.ids) for stage in stages},
        unjudged=(*(one for stage in stages for one in stage.unjudged() if one.count), *left_out),
        warnings=tuple(_warnings(evidence, stages)),
    )


def _stage(noun: str, role: str, inputs: Inputs, answers: Answers, evidence: Evidence) -> Stage:
    letters = evidence.letters.get(role, Letters(dead_letters.ROLE))
    exits = (
        # ingestion keys by entity, inference keeps the partition
        Exit(evidence.outputs.get(answers.role, Output()), answers, same_partition=role == "features"),
        Exit(evidence.outputs.get(dead_letters.ROLE, Output()), letters, same_partition=True),
    )
    lives = np.concatenate([answers.lives, letters.lives])
    relived = bool((lives == Life.EARLIER).any() or inputs.of_earlier_life)
    relived |= role == "features" and evidence.history.earlier_cutovers > 0
    return Stage(noun, role, inputs, exits, relived)


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
    entities, rows = scattered(evidence.features)
    if entities.size:
        entity = int(entities[0])
        name = evidence.entity_names.get(entity, f"of the vector at row {rows[0]}")
        yield scattered_warning(evidence.features, entity, name, len(entities))
