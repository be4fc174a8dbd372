"""Why a cluster cannot be reached: wrong credentials and certificates are told to one callback, and to nobody else."""

import time
from typing import Final

import structlog
from confluent_kafka import KafkaError

_TOLD_EVERY_S: Final = 30.0
_REFUSED: Final = {
    KafkaError._AUTHENTICATION: (
        "the user, the password, the token or the mechanism is wrong: look at sasl.* in FRESHET_KAFKA"
    ),
    KafkaError._SSL: "the certificate is not trusted or not for this address: look at ssl.* in FRESHET_KAFKA",
}


class ConnectionErrors:
    """A client's `error_cb`: keeps the cause that a person can do something about.

    A refused log-in is followed at once by "all brokers are down", which says nothing; a call that waits just times
    out. The client tries again for ever, so the cause is logged at most every 30 s.
    """

    def __init__(self) -> None:
        self._refusal: tuple[str, str] | None = None
        self._other = ""
        self._told_s = -_TOLD_EVERY_S
        self._log = structlog.get_logger("kafka")

    def __call__(self, error: KafkaError) -> None:
        """What the client calls, from inside any of its calls."""
        advice = _REFUSED.get(error.code())
        if advice is None:
            self._other = error.str()
            return
        self._refusal = error.str(), advice
        if time.monotonic() - self._told_s >= _TOLD_EVERY_S:
            self._told_s = time.monotonic()
            self._log.error("kafka_refuses_us", error=error.str(), advice=advice)

    @property
    def cause(self) -> str:
        """The refusal, else the last other error; empty if there was none."""
        return "; ".join(self._refusal) if self._refusal else self._other

    @property
    def refusal(self) -> tuple[str, str] | None:
        """What the cluster said when it refused us, or who was to give us a token for it, and what to look at."""
        return self._refusal
