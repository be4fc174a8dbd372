"""Jobs of inference, which run beside the loop: bring a model into memory, and out of it again."""

import time

from freshet.inference.core.model_jobs import Loaded, LoadModel, RetireModel
from freshet.models.memory import check_memory
from freshet.models.model_error import ModelError
from freshet.models.scorer import Scorer
from freshet.runtime.artifacts import fetch_model
from freshet.runtime.bus.protocol import Bus


def load_model(job: LoadModel, bus: Bus) -> Loaded:
    """Fetch, check and load a model, and warm it up. Blocks; a repeat does the same again.

    Raises ModelError: `no_memory` if it would not fit beside what runs here, `artifact_*` if its bytes cannot be had or
    are others, `model_*` if it does not load, does not answer its golden rows as its trainer saw them, or fails on a
    full batch.
    """
    began_s = time.monotonic()
    check_memory(job.memory_bytes + job.manifest.size_bytes if job.memory_bytes else 0)
    assembly = fetch_model(job.manifest, job.chunk_offsets, bus)
    scorer = Scorer.load(assembly.file(), job.manifest)
    try:
        scorer.check_golden()
        p99_us = scorer.warm_up(job.batch_rows)
    except ModelError:
        scorer.close()
        raise
    return Loaded(scorer, load_ms=int((time.monotonic() - began_s) * 1000), p99_us=p99_us)


def retire_model(job: RetireModel) -> None:
    """Close a model that answers no more. It takes up to 30 ms, so the loop should not do it."""
    job.scorer.close()
