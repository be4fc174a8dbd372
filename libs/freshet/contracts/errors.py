"""The errors that pass from one room to another. Each says what happened, why, and what to do."""


class FreshetError(Exception):
    """Something a person should read: the message says what, why and what to do."""


class ContractError(FreshetError):
    """A pipeline, schema, topic or message breaks what the rooms have agreed on."""


class UnheardError(ContractError):
    """Rows name something that the facts read so far do not tell: it may be on its way, or never have been."""


class NewerRecordError(ContractError):
    """A control record under a schema that this release does not know: a newer one wrote it."""


class SchemaError(ContractError):
    """An Avro schema that cannot be used safely, or that breaks compatibility."""


class UnknownPartError(ContractError):
    """A `kind` that no installed part has."""


class UnsetError(FreshetError):
    """A pipeline demands what this process was not given: an operator has to set it, and start it again."""


class DeletedError(FreshetError):
    """The pipeline was deleted under a running worker."""

    def __init__(self, pipeline: str) -> None:
        super().__init__(
            f"pipeline {pipeline} was deleted: this worker begins anew, without what it had in memory. It then waits "
            "until `freshet apply` publishes the pipeline again; stop it if that is not to come."
        )
