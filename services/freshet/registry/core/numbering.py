"""Version numbers: MAJOR.MINOR.PIPELINE, given at admission and never reused.

The number says what a reader of predictions has to expect of the new model, against the newest numbered one:

- MAJOR: the contract changed. Other classes, or other feature columns: consumers and producers of features must look.
- MINOR: a better model under the same contract. It learned from other data, or does not say from what.
- PIPELINE: only the training code changed (code, trainer or parameters): same contract, and both manifests name the
  same training set. Whatever differs in the model then comes from how it was trained.

The order of input columns is no part of the contract, because workers select columns by name; the order of classes is,
because scores come in that order.
"""

from typing import Final

from freshet.contracts.messages import Manifest
from freshet.ledger.versions import Version

TRAINING_SET: Final = "training_set"
"""The lineage entry that names what a model learned from: the digest of its training set."""


FIRST: Final = Version(1, 0, 0)


def next_version(manifest: Manifest, newest: tuple[Version, Manifest] | None) -> tuple[Version, str]:
    """The number of a model about to be admitted, and why it is that one; `newest` has the highest number so far."""
    if newest is None:
        return FIRST, "the first model of this pipeline"
    version, before = newest
    if _contract(manifest) != _contract(before):
        return Version(version.major + 1, 0, 0), f"its inputs or classes differ from those of {version}"
    training_set = manifest.lineage.get(TRAINING_SET)
    if training_set is not None and training_set == before.lineage.get(TRAINING_SET):
        return version._replace(pipeline=version.pipeline + 1), f"trained on the same data as {version} in another way"
    return Version(version.major, version.minor + 1, 0), f"a new model under the contract of {version}"


def _contract(manifest: Manifest) -> tuple[frozenset[str], tuple[str, ...]]:
    return frozenset(manifest.inputs), manifest.classes
