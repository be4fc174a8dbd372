"""What somebody else than the registry does to epochs that are known: no reader is led astray by it, but it is told."""

from typing import Final

WRITERS: Final = "Only the registry should be able to write freshet.rollouts (`freshet rights show`; docs/trust.md)."
"""What to do against a stranger's epochs."""


def written_again(pipeline: str, epoch: int) -> str:
    """The registry writes each record of an epoch once."""
    return (
        f"epoch {epoch} of {pipeline} was written again as the registry once signed it. That changes nothing, but "
        f"somebody else than the registry has done it. {WRITERS}"
    )


def written_over(pipeline: str, epoch: int, why: str) -> str:
    """Compaction keeps the last record of a number, believed or not."""
    return (
        f"the record of epoch {epoch} of {pipeline} was written over, and whoever starts after Kafka has compacted the "
        f"topic does not know that epoch: promote the version that answers again. What is there now: {why}"
    )
