"""What is said of the code and the machine that a model comes from."""

from freshet.pipeline.catalogue import trainers
from freshet.retraining.provenance import child_settings, code_digest, environment_digest


def test_code_is_told_apart_by_trainer() -> None:
    """Each has a file of its own; the rest of the code is the same."""
    digests = {kind: code_digest(kind) for kind in trainers().kinds()}
    assert len(set(digests.values())) == len(digests)
    assert all(len(digest) == 64 for digest in [*digests.values(), environment_digest()])


def test_a_child_is_told_which_instructions_to_use() -> None:
    """All or nothing: a machine without them is another environment."""
    assert set(child_settings()) in (set(), {"OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"})
