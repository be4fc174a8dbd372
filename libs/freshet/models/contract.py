"""What a model must keep to: the pipeline's contract, and limits on what it may be and cost."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the sandboxed child reads limits and should not pay for loading what reads pipeline.yaml
    from freshet.pipeline import Limits as PipelineLimits

MIB: Final = 1 << 20
BATCH_ROWS: Final = 5000
"""Rows of a full batch; measured: nothing is gained above."""
TOLERANCE: Final = 1e-4
"""How far a score may lie from the original's: absolute up to 1, relative above. Models that were trained on float32
agree to 1e-6; those that were not differ by 1e-2 on single rows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one model may be and cost. The first four a pipeline chooses, the rest holds for everybody."""

    max_model_mb: int = 256
    """Largest model, in MiB; above it, chunks would crowd out everything else on the artifacts topic."""
    max_memory_mb: int = 1024
    """Memory of one loaded session after warm-up, in MiB; four times the largest model, as tree ensembles need."""
    max_batch_rows: int = BATCH_ROWS
    """Rows of the largest batch that the model will see: tensor sizes and times are judged at this batch."""
    batch_p99_ms: int = 250
    """99 of 100 largest batches must be scored within this."""
    max_nodes: int = 5000
    """Nodes of the graph. Sessions check chains in quadratic time: 1,000 nodes load in 0.6 s, 5,000 in 10 to 20 s."""
    max_tensor_mb: int = 256
    """Size of any one tensor, constant or computed, in MiB: 140 bytes of ONNX can ask for gigabytes."""
    min_chunk_bytes: int = 64 * 1024
    """Smallest chunk size that a manifest may state: a million chunks of one byte are an attack."""
    max_chunk_bytes: int = 1000 * 1000
    """Largest chunk size: one Kafka record of default size, with its key."""
    max_manifest_bytes: int = 512 * 1024
    """Size of a manifest as JSON; it travels in one record, and again with each change of the model's state."""
    max_golden_rows: int = 1024
    """Golden rows; the packer takes 64."""
    tolerance: float = TOLERANCE
    """How far golden scores may lie from the trainer's; see there."""
    cpu_s: int = 20
    """CPU time of the sandboxed child after its start."""
    wall_s: int = 60
    """Time until the child is killed; three times its CPU time, for machines that have more to do."""

    @classmethod
    def of(cls, chosen: "PipelineLimits") -> "Limits":
        """Our limits with those of a pipeline put in."""
        return cls(
            max_model_mb=chosen.max_model_mb,
            max_memory_mb=chosen.max_memory_mb,
            max_batch_rows=chosen.max_batch_rows,
            batch_p99_ms=chosen.batch_p99_ms,
        )


@dataclass(frozen=True, slots=True)
class Contract:
    """What a pipeline asks of every model: the features it offers, the classes it wants in that order, and limits.

    `classes` is empty for a regression.
    """

    feature_names: tuple[str, ...]
    classes: tuple[str, ...]
    limits: Limits = Limits()
