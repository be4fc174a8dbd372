"""Asking for a training: a command that retraining answers by a record on the topic of trainings."""

import time
from contextlib import closing
from typing import Final

from freshet.contracts.messages import Command
from freshet.contracts.training_message import Training
from freshet.operate.commands import publish, withdraw
from freshet.operate.connection import Connection
from freshet.operate.operate_error import OperateError
from freshet.operate.presence import absence, presence
from freshet.operate.roll_call import roll_call
from freshet.operate.times import clock_time
from freshet.runtime.bus.protocol import BusError, Producer, RetriableError
from freshet.runtime.feed import Feed

_GRACE_S: Final = 10.0  # for retraining to say that a command has expired
_LONGEST_S: Final = 3600.0  # a training is given up after half of that
_QUIET_S: Final = 5.0
_POLL_S: Final = 0.1
_LAST_WORD_S: Final = 2.0


def retrained(connection: Connection, asked: Command, expires_ms: int) -> Training:
    """Publish the command and wait for its end: finished, failed or skipped. What is under way is told.

    Raises OperateError if nobody answers before it expires, or if the training does not end. An interrupt
    (KeyboardInterrupt) withdraws a command that has not begun, says what became of it, and is raised again; a training
    that has begun goes on.
    """
    with closing(connection.bus().producer()) as producer, closing(_Answers(connection, asked)) as answers:
        try:
            publish(producer, asked)
            connection.say(f"waiting for retraining's answer to command {asked.command_id} …")
            first = answers.wait(expires_ms / 1000 + _GRACE_S, ended=False)
            if first is None:
                raise OperateError(
                    f"no answer to command {asked.command_id} came, and it has expired: it will not be carried out. Is "
                    "retraining running? `freshet run retraining` starts it."
                )
            if first.phase == "started":
                connection.say(
                    f"training {first.training} has begun: {first.trainer} learns from rows {first.from_row:,} to "
                    f"{first.cut_row:,} …"
                )
            last = answers.wait(_LONGEST_S, ended=True)
        except (KeyboardInterrupt, BusError):
            connection.say(_left(answers, producer, asked))
            raise
    if last is None:
        raise OperateError(
            f"training {first.training} has begun, and has not ended within {_LONGEST_S:,.0f} s; "
            f"`freshet trainings show {first.training[:8]} --pipeline {asked.pipeline}` tells when it does."
        )
    return last


class _Answers:
    """What retraining says of one command."""

    def __init__(self, connection: Connection, asked: Command) -> None:
        self._connection, self._asked = connection, asked
        self._feed = Feed(connection.bus().reader(["trainings"]))
        self.newest: Training | None = None

    def wait(self, timeout_s: float, *, ended: bool) -> Training | None:
        """Its answer, or its end if `ended`; None if none comes in time. A broker that goes away is waited for."""
        begun_s, told = time.monotonic(), ended
        while not self._has(ended=ended):
            waited_s = time.monotonic() - begun_s
            if waited_s > timeout_s:
                return None
            if waited_s > _QUIET_S and not told:
                told = True
                self._connection.say(f"nobody has answered yet. {self._who()}")
                self._connection.say(f"Ctrl-C withdraws the command, valid for {timeout_s:,.0f} s.")
            self._look()
        return self.newest

    def _has(self, *, ended: bool) -> bool:
        return self.newest is not None and not (ended and self.newest.phase == "started")

    def _who(self) -> str:
        """Whether retraining is there, in a sentence."""
        try:
            called = roll_call(self._connection.bus(), say=self._connection.say)
        except RetriableError:
            return "Kafka does not answer now, and is waited for."
        missing = absence(presence(called.ledger, "retraining", "", called.now_ms))
        return missing or "Retraining is running; a training that is under way is waited for."

    def _look(self) -> None:
        try:
            facts = list(self._feed.facts(_POLL_S))
        except RetriableError:
            time.sleep(_POLL_S)
            return
        for fact in facts:
            match fact.message:
                case Training(trigger="command", trigger_id=self._asked.command_id) as record:
                    self.newest = record

    def close(self) -> None:
        """Free the reader."""
        self._feed.close()


def _left(answers: _Answers, producer: Producer, asked: Command) -> str:
    """What becomes of a command that is no longer waited for, in a sentence."""
    if answers.newest is not None:
        return f"training {answers.newest.training} has begun, and goes on."
    try:
        withdraw(producer, asked)
    except BusError as error:
        until = clock_time(asked.expires_at_ms)
        return f"it could not be withdrawn: {error} Retraining may carry it out until {until} UTC."
    word = answers.wait(_LAST_WORD_S, ended=False)
    if word is None:
        return "withdrawn: whenever retraining reads it, it will not be carried out."
    return "too late, it has begun." if word.phase == "started" else f"withdrawn: {word.reason}"
