"""What can go wrong in the client. What Kafka refuses comes as `freshet.runtime.bus.protocol.BusError`."""

from freshet.contracts.errors import FreshetError


class ClientError(FreshetError):
    """The client cannot do what was asked; the message says why and what to do."""


class RowError(ClientError):
    """A row that is no event of the pipeline. Nothing was sent."""

    def __init__(self, message: str, *, field: str = "", row: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        """The field it is about; empty if it is about none, or about several."""
        self.row = row
        """The first row that is wrong; None if it is about all of them."""


class NotSentError(ClientError):
    """Kafka stopped taking events; `sent` rows, the first ones, are acknowledged and must not be sent again."""

    def __init__(self, message: str, sent: int) -> None:
        super().__init__(message)
        self.sent = sent


class NotAnsweredError(ClientError):
    """An event was sent, and has neither a prediction nor a dead letter yet. It will get one of them all the same."""
