"""The verdict on a candidate model. It stands apart from admission, so that whoever reads it starts no process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdmissionVerdict:
    """The verdict on a model. `reason` is '' if it is admitted, else a code of `freshet.models.model_error`."""

    admitted: bool
    reason: str = ""
    detail: str = ""
    memory_bytes: int = 0
    """Resident memory of one session after warm-up."""
    p99_us: int = 0
    """99th percentile of the time of a full batch, in the sandbox."""
    unguarded: tuple[str, ...] = ()
    """What the sandbox could not be kept from on this machine; empty where everything is permitted."""
