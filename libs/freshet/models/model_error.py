"""Why a model cannot serve: one error with a reason code.

- `manifest_invalid`: the manifest breaks a limit or the pipeline's contract.
- `artifact_size`, `artifact_digest`, `artifact_chunk`, `artifact_incomplete`: the bytes are not those of the manifest.
- `graph_unreadable`, `graph_opset`, `graph_domain`, `graph_operator`, `graph_control_flow`, `graph_function`,
  `graph_sparse`, `graph_external_data`, `graph_nodes`, `graph_tensor_size`, `graph_input`, `graph_output`: it is not
  a graph that we run.
- `model_load`, `model_exception`, `model_shape`, `model_not_finite`, `model_golden`, `model_mixes_rows`, `model_slow`,
  `model_memory`, `model_interrupted`, `model_timeout`, `model_crashed`: it was tried, and failed.
- `no_memory`, `load_crashed`: a worker cannot hold it: too little memory, or it died while it loaded it.
- `bundle_unreadable`: a folder does not hold a packed model.
- `pack_input`, `pack_classes`, `pack_convert`, `pack_parity`: an estimator could not be packed.
- `contributions`: what its features contributed to an answer cannot be told.
"""

from typing import Final

from freshet.contracts.errors import FreshetError

_MAY_BE_MENDED: Final = ("artifact_", "model_slow:", "model_timeout:", "signature_")


def may_be_mended(refusal: str) -> bool:
    """Whether a refusal, `CODE: sentence`, was for something that need not be so the next time.

    Chunks that are missing or damaged are there once they are published again, a busy machine has more time later, and
    a key that is missing or revoked is no fault of the model, which may come with a signature by another one.
    """
    return refusal.startswith(_MAY_BE_MENDED)


class ModelError(FreshetError):
    """A model that cannot be used. `reason` is a code, `detail` a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
