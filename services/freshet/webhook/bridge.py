"""Sends what the lines hold, tries again, and gives up: the loop of the bridge."""

import math
import threading
import time
from typing import Final

import structlog

from freshet.contracts.errors import NewerRecordError
from freshet.runtime import failpoints
from freshet.runtime.bus.protocol import RefusedError, RetriableError
from freshet.runtime.metrics.of_webhook import DELIVERED, FAILED, TRIES
from freshet.runtime.telemetry import Metrics
from freshet.webhook.core.delivery import Delivery, letter
from freshet.webhook.core.hook_signature import request_headers
from freshet.webhook.core.retry_rules import GiveUp, Reply, Taken, TryAgain, judge
from freshet.webhook.letter_file import LetterFile
from freshet.webhook.posting import Posting
from freshet.webhook.topic_line import TopicLine
from freshet.webhook.topic_reading import NAME, TopicReading
from freshet.webhook.webhook_settings import WebhookSettings

_WAIT_S: Final = 0.2
_BACK_OFF_S: Final = 0.5


class Bridge:
    """Turned by one thread. A line that waits for the receiver does not hold up the others."""

    def __init__(
        self,
        reading: TopicReading,
        own: WebhookSettings,
        letters: LetterFile,
        metrics: Metrics,
        *,
        skip_expired: bool,
    ) -> None:
        self._reading, self._letters, self._metrics, self._skip_expired = reading, letters, metrics, skip_expired
        self._target, self._secret, self._patience_s = own.target, own.secret.get_secret_value(), own.patience_s
        self._log = structlog.get_logger(NAME)
        self._answered = threading.Event()

    def turn(self) -> str:
        """One step of every line; says why nothing is known of Kafka now, empty if it answered.

        Raises FatalError, SettingsError if a letter cannot be written, and NewerRecordError when the turn of a record
        has come that only a newer release can read.
        """
        lines = self._reading.lines
        try:
            self._reading.read(self._idle_s(), skip_expired=self._skip_expired)
            self._reading.place()
            for line in [*lines.values()]:
                self._step(line)
        except RefusedError as error:
            self._log.info("refused", error=str(error))  # the next read tells whether the partition is still ours
            self._answered.wait(_BACK_OFF_S)
            return ""
        except RetriableError as error:
            self._answered.wait(_BACK_OFF_S)
            return str(error)
        if any(line.posting for line in lines.values()):
            self._answered.wait(_WAIT_S)
            self._answered.clear()
        return ""

    def _idle_s(self) -> float:
        """How long a read may wait for records: not at all while there is something to do."""
        lines = self._reading.lines.values()
        if any(line.posting is not None or line.committed != line.position for line in lines):
            return 0.0
        due_s = min((line.due_s for line in lines if line.first is not None), default=math.inf)
        return min(max(0.0, due_s - time.monotonic()), _WAIT_S)

    def _step(self, line: TopicLine) -> None:
        """Commit what is done, else judge what came back, else send whose turn it is."""
        first = line.first
        if line.committed != line.position:
            self._reading.commit(line)
        elif line.posting is not None:
            answer = line.posting.answer()
            if answer is not None and first is not None:
                line.posting = None
                self._judge(line, first, answer)
        elif first is None or time.monotonic() < line.due_s:
            return
        elif first.newer:
            raise NewerRecordError(first.unreadable)
        elif first.unreadable:
            self._give_up(line, first, first.unreadable)
        else:
            self._send(line, first)

    def _send(self, line: TopicLine, first: Delivery) -> None:
        if line.tries == 0:
            line.began_s = time.monotonic()
        line.tries += 1
        headers = request_headers(first, self._secret, int(time.time()))
        line.posting = Posting(self._target, headers, first.body, self._answered.set)

    def _judge(self, line: TopicLine, first: Delivery, answer: Reply) -> None:
        tried_s = time.monotonic() - line.began_s
        step = judge(answer, line.tries, tried_s, self._patience_s, time.time())
        labels = (NAME, first.pipeline, first.source.kind)
        match step:
            case Taken():
                failpoints.reached("posted")
                self._metrics[TRIES].labels(*labels, "taken").inc()
                self._metrics[DELIVERED].labels(*labels).inc()
                self._log.info("delivered", id=first.source.id, tries=line.tries)
                line.done()
            case TryAgain(pause_s, reason):
                self._metrics[TRIES].labels(*labels, "again").inc()
                self._log.warning("not_taken", id=first.source.id, tries=line.tries, pause_s=pause_s, reason=reason)
                line.due_s = time.monotonic() + pause_s
            case GiveUp(reason):
                self._metrics[TRIES].labels(*labels, "given_up").inc()
                self._give_up(line, first, reason)

    def _give_up(self, line: TopicLine, first: Delivery, reason: str) -> None:
        self._letters.add(letter(first, reason, line.tries, time.time_ns() // 1_000_000))
        self._metrics[FAILED].labels(NAME, first.pipeline, first.source.kind).inc()
        self._log.error("given_up", id=first.source.id, tries=line.tries, reason=reason)
        line.done()
