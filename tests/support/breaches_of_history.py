"""Breaches of P2: what the control topics say of who answers, against each other and against the answers."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from freshet.contracts.logic import Fact
from freshet.operate.verify.evidence import Evidence
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import release_statement
from support.evidence import NEW, OLD, RING, answered_by, claim, cutover, ledger, rollout, row_of
from support.inference import manifest, model
from support.signed import signed_epoch, signed_version

_EPOCHS: Final = "each answer's epoch is what the cut-overs say"
_VERSIONS: Final = "each answer's version is what its epoch names"
_LIVE: Final = "each cut-over's epoch went live"
_METADATA: Final = "committed metadata is the last cut-over"
_RELEASED: Final = "each cut-over's epoch is signed by a trusted release key"
_BUILT: Final = "each version that answers is signed by a trusted builder key"
_HISTORY: Final = "positions in history only go forward"


class Breach(NamedTuple):
    """What plants it, and the checks that must fail, each with its examples."""

    plant: Callable[[Evidence], None]
    found: Mapping[str, tuple[str, ...]]


def _digest(of: str) -> str:
    return manifest(of).digest[:12]


def _epoch_against_the_cutovers(evidence: Evidence) -> None:
    """Answered under epoch 1, by its version, after the cut-over to 2: a batch that straddled it."""
    claim(evidence.predictions, row_of(evidence.predictions, 0, 5), epochs=1)
    answered_by(evidence.predictions, row_of(evidence.predictions, 0, 5), OLD)


def _no_cutover(evidence: Evidence) -> None:
    """A whole partition answered, and no record of why by whom."""
    evidence.history.cutovers = [cut for cut in evidence.history.cutovers if cut.partition != 1]


def _version_of_another_epoch(evidence: Evidence) -> None:
    answered_by(evidence.predictions, row_of(evidence.predictions, 0, 5), OLD)


def _versions_swapped(evidence: Evidence) -> None:
    """Each answer names the other version."""
    evidence.predictions.versions = 1 - evidence.predictions.versions


def _cutover_replaced(evidence: Evidence) -> None:
    """Written again under its key, and compacted: only the second one is left."""
    others = [cut for cut in evidence.history.cutovers if (cut.partition, cut.first_offset) != (0, 4)]
    evidence.history.cutovers = [*others, cutover(0, 4, 3)]


def _epoch_that_never_went_live(evidence: Evidence) -> None:
    """An aborted epoch explains nothing."""
    aborted = rollout(2, NEW, understudy=OLD).model_copy(update={"phase": "aborted"})
    evidence.history.ledger = ledger(rollout(1, OLD), aborted)


def _champion_at_the_fallback(evidence: Evidence) -> None:
    """At (2, 1) the epoch's understudy must answer."""
    answered_by(evidence.predictions, row_of(evidence.predictions, 1, 3), NEW)


def _history_goes_back(evidence: Evidence) -> None:
    """From epoch 2 to epoch 1, with an answer that agrees: it is explained, and still it may not be."""
    evidence.history.cutovers = [*evidence.history.cutovers, cutover(0, 5, 1)]
    claim(evidence.predictions, row_of(evidence.predictions, 0, 5), epochs=1)
    answered_by(evidence.predictions, row_of(evidence.predictions, 0, 5), OLD)


def _return_from_the_fallback(evidence: Evidence) -> None:
    """From (2, 1) to (2, 0): only a new epoch ends a fallback."""
    evidence.history.cutovers = [
        cut for cut in evidence.history.cutovers if (cut.partition, cut.first_offset) != (1, 1)
    ]
    evidence.history.cutovers += [cutover(1, 1, 2, 1), cutover(1, 2, 2, 0)]
    claim(evidence.predictions, row_of(evidence.predictions, 1, 1), fallbacks=1)
    answered_by(evidence.predictions, row_of(evidence.predictions, 1, 1), OLD)


def _two_cutovers_at_one_offset(evidence: Evidence) -> None:
    """It cannot be the first of two positions: two owners decided for it."""
    evidence.history.cutovers = [cutover(0, 4, 1, 1), *evidence.history.cutovers]


def _two_contents(evidence: Evidence) -> None:
    """Two registries issued epoch 2; the answers agree with the later."""
    evidence.history.ledger = ledger(rollout(1, OLD), rollout(2, OLD), rollout(2, NEW, understudy=OLD))


def _live_and_aborted(evidence: Evidence) -> None:
    """The answers agree with the live one."""
    live = rollout(2, NEW, understudy=OLD)
    evidence.history.ledger = ledger(rollout(1, OLD), live, live.model_copy(update={"phase": "aborted"}))


def _two_artifacts(evidence: Evidence) -> None:
    """Two registries numbered two models alike, and each has signed an epoch with its own."""
    told = ledger(rollout(1, OLD))
    other, new = (
        signed_version(model(version, ["feature_1"], digest_of), RING.builder)
        for version, digest_of in ((OLD, "another"), (NEW, NEW))
    )
    for message in (other, signed_epoch(rollout(2, NEW, understudy=OLD), RING.release, other, new)):
        told.fold(Fact("", "", message))
    evidence.history.ledger = told


def _epoch_never_issued(evidence: Evidence) -> None:
    """Over a dead letter alone: no answer shows it."""
    evidence.history.cutovers = [*evidence.history.cutovers, cutover(0, 6, 3)]
    evidence.features_read.metadata[0] = "e=3 f=0"


def _epoch_signed(by: SigningKey | None, **changes: object) -> Callable[[Evidence], None]:
    """Epoch 2, of which all else agrees, is signed by another, or by nobody, or is changed after it was signed."""

    def plant(evidence: Evidence) -> None:
        known = evidence.history.ledger.epochs.records[2]
        signatures = by.sign(release_statement(known)) if by else {}
        record = known.model_copy(update={"signatures": signatures, **changes})
        evidence.history.ledger.epochs.records[2] = record

    return plant


def _epoch_of_another_life(evidence: Evidence) -> None:
    """It was signed before the pipeline was deleted, and somebody has written it again."""
    known = evidence.history.ledger.epochs.records[2].model_copy(update={"life": "a0"})
    signed = known.model_copy(update={"signatures": RING.release.sign(release_statement(known))})
    evidence.history.ledger.epochs.records[2] = signed


def _version_signed(by: SigningKey | None) -> Callable[[Evidence], None]:
    """The version of epoch 2 bears the signature of another than a builder, or none."""

    def plant(evidence: Evidence) -> None:
        known = evidence.history.ledger.versions.records[NEW].model_copy(update={"signatures": {}})
        evidence.history.ledger.versions.records[NEW] = signed_version(known, by) if by else known

    return plant


def _version_of_another_manifest(evidence: Evidence) -> None:
    """A builder has signed it, but the epoch names another manifest of the same bytes."""
    known = evidence.history.ledger.versions.records[NEW]
    other = known.manifest.model_copy(update={"lineage": {"by": "somebody"}})
    changed = known.model_copy(update={"manifest": other})
    evidence.history.ledger.versions.records[NEW] = signed_version(changed, RING.builder)


def _unreleased(code: str) -> dict[str, tuple[str, ...]]:
    return {_RELEASED: tuple(f"{place}: epoch 2: {code}" for place in ("0/4", "1/1", "1/3"))}


def _metadata(text: str) -> Callable[[Evidence], None]:
    """The next owner of the partition would go on at another position, or cannot know any."""

    def plant(evidence: Evidence) -> None:
        evidence.features_read.metadata[0] = text

    return plant


def _metadata_found(text: str) -> dict[str, tuple[str, ...]]:
    return {_METADATA: (f"0: metadata {text!r}, cut-overs 'e=2 f=0'",)}


HISTORY_BREACHES: Final[dict[str, Breach]] = {
    "two contents of an epoch": Breach(_two_contents, {"an epoch has one content": ("epoch 2: 1.0.0 or 2.0.0",)}),
    "live and aborted": Breach(
        _live_and_aborted, {"an epoch is live or aborted, never both": ("epoch 2 is live and aborted",)}
    ),
    "two artifacts of a version": Breach(
        _two_artifacts,
        {
            "a version has one artifact": (f"1.0.0: {_digest(OLD)}, {_digest('another')}",),
            _BUILT: ("1.0.0: signature_other_model",),
        },
    ),
    "epoch never issued": Breach(_epoch_never_issued, {_LIVE: ("0/6: epoch 3 was never issued",)}),
    "wrong epoch": Breach(_epoch_against_the_cutovers, {_EPOCHS: ("0/5",)}),
    "no cut-over": Breach(
        _no_cutover,
        {_EPOCHS: ("1/0", "1/1", "1/2", "1/3"), _METADATA: ("1: metadata 'e=2 f=1', cut-overs 'e=0 f=0'",)},
    ),
    "wrong version": Breach(_version_of_another_epoch, {_VERSIONS: ("0/5",)}),
    "epoch never live": Breach(
        _epoch_that_never_went_live,
        {
            _VERSIONS: ("0/4", "0/5", "1/1", "1/2", "1/3"),
            _LIVE: tuple(f"{place}: epoch 2 was only aborted" for place in ("0/4", "1/1", "1/3")),
        },
    ),
    "versions swapped": Breach(_versions_swapped, {_VERSIONS: ("0/0", "0/1", "0/2", "0/3", "0/4")}),
    "cut-over replaced": Breach(
        _cutover_replaced,
        {
            _EPOCHS: ("0/4", "0/5"),
            _LIVE: ("0/4: epoch 3 was never issued",),
            _METADATA: ("0: metadata 'e=2 f=0', cut-overs 'e=3 f=0'",),
        },
    ),
    "wrong understudy": Breach(_champion_at_the_fallback, {_VERSIONS: ("1/3",)}),
    "history goes back": Breach(_history_goes_back, {_HISTORY: ("0/5: (2, 0) → (1, 0)",)}),
    "return from the fallback": Breach(_return_from_the_fallback, {_HISTORY: ("1/2: (2, 1) → (2, 0)",)}),
    "two cut-overs at one offset": Breach(_two_cutovers_at_one_offset, {_HISTORY: ("0/4: (1, 1) → (2, 0)",)}),
    "epoch that nobody signed": Breach(_epoch_signed(None), _unreleased("signature_missing")),
    "epoch of an unknown key": Breach(_epoch_signed(RING.stranger), _unreleased("signature_unknown_key")),
    "epoch of a builder's key": Breach(_epoch_signed(RING.builder), _unreleased("signature_wrong_role")),
    "epoch that was changed": Breach(_epoch_signed(RING.release, cause="other"), _unreleased("signature_invalid")),
    "epoch of another life": Breach(_epoch_of_another_life, _unreleased("signature_other_life")),
    "version that nobody signed": Breach(_version_signed(None), {_BUILT: ("2.0.0: signature_missing",)}),
    "version of a release key": Breach(_version_signed(RING.release), {_BUILT: ("2.0.0: signature_wrong_role",)}),
    "version of another manifest": Breach(_version_of_another_manifest, {_BUILT: ("2.0.0: signature_other_model",)}),
    "metadata behind": Breach(_metadata("e=1 f=0"), _metadata_found("e=1 f=0")),
    "metadata ahead": Breach(_metadata("e=3 f=0"), _metadata_found("e=3 f=0")),
    "metadata at the fallback": Breach(_metadata("e=2 f=1"), _metadata_found("e=2 f=1")),
    "metadata lost": Breach(_metadata(""), _metadata_found("")),
}
