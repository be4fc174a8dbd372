"""A published model comes back as a bundle: to be signed again, tried, or kept."""

from contextlib import closing

from freshet.contracts.messages import ModelVersion
from freshet.models.bundle import Bundle
from freshet.models.model_error import ModelError
from freshet.operate.connection import Connection
from freshet.operate.facts import ledger_of, published
from freshet.operate.model_status import find_version
from freshet.operate.operate_error import OperateError
from freshet.operate.training_runs import TRAINING
from freshet.runtime.artifacts import fetch_model


def find_model(connection: Connection, pipeline: str, version: str) -> ModelVersion:
    """The version of that number, or the version or refused candidate whose sha256 begins so.

    Raises ContractError if the pipeline was never applied, and OperateError unless there is just one.
    """
    published(connection, pipeline)  # a misspelt name would have no versions
    return find_version(ledger_of(connection.bus(), "models").of(pipeline), version)


def fetch_bundle(connection: Connection, model: ModelVersion) -> Bundle:
    """Its bytes, with the digest that its manifest names, its manifest, and what its record is signed with.

    Raises OperateError if the topic does not hold all of its chunks any more, and ModelError if it cannot be read.
    """
    try:
        with closing(fetch_model(model.manifest, model.chunk_offsets, connection.bus())) as assembly:
            return Bundle(model.manifest, assembly.bytes(), model.signatures)
    except ModelError as error:
        if error.reason != "artifact_missing":
            raise
        raise OperateError(_gone(model)) from error


def origin(model: ModelVersion) -> str:
    """How a person can find out whether a model is what it is said to be, in a sentence."""
    if model.manifest.lineage.get(TRAINING):
        return (
            f"`freshet reproduce {model.version} --pipeline {model.pipeline}` trains it again from its rows and "
            "compares the two"
            if model.version
            else "its lineage names the training that it came of"
        )
    return "compare its sha256 with that of the model that you packed"


def _gone(model: ModelVersion) -> str:
    manifest, name = model.manifest, model.version or model.manifest.digest[:12]
    return (
        f"Kafka no longer holds all {len(manifest.chunk_digests)} chunks of {name}, sha256 {manifest.digest[:12]}: "
        "topic artifacts was shortened, or made anew. Whoever has kept its bundle can publish that again; without one "
        "it is lost, and another model has to take its place."
    )
