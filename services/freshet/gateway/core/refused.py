"""A request that gets no answer, and why: status, code, and a sentence that says what to do."""

from typing import Any

from freshet.client.client_errors import RowError


class RefusedRequestError(Exception):
    """Becomes the HTTP answer. `body` is its JSON."""

    def __init__(self, status: int, code: str, why: str, **more: Any) -> None:
        super().__init__(why)
        self.status = status
        self.body = {"error": code, "why": why, **more}


def bad_row(error: RowError) -> RefusedRequestError:
    """For rows that are no events or labels of the pipeline: nothing of the request was written.

    What a sender put in may have characters that UTF-8 cannot write; they are shown as escapes.
    """
    why, field = (text.encode(errors="backslashreplace").decode() for text in (str(error), error.field))
    return RefusedRequestError(400, "bad_row", why, field=field or None, row=error.row)


def kafka_away(why: str) -> RefusedRequestError:
    """For what Kafka did not acknowledge."""
    return RefusedRequestError(503, "kafka_away", why)
