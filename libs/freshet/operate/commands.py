"""What an operator asks of the registry: a command is a record, and gets exactly one decision."""

import getpass
import socket
import time
import uuid
from functools import partial
from typing import Final

from freshet.avro.control import encode
from freshet.contracts.messages import Action, Command, Decision
from freshet.operate.connection import Connection
from freshet.operate.operate_error import LocalError, OperateError
from freshet.operate.patience import patiently
from freshet.operate.pipeline_view import View
from freshet.operate.times import clock_time
from freshet.runtime.bus.protocol import BusError, Producer, Send

_GRACE_S: Final = 10.0  # for the registry to say that a command has expired
_WITHDRAWAL_S: Final = 10.0  # somebody wants to leave
_LAST_WORD_S: Final = 2.0  # a registry that is there decides within a turn


def command(
    pipeline: str,
    action: Action,
    *,
    expires_ms: int,
    version: str = "",
    text: str = "",
    expected_epoch: int | None = None,
) -> Command:
    """A command of this machine's user that may be carried out until `expires_ms` from now."""
    return Command(
        command_id=str(uuid.uuid4()),
        pipeline=pipeline,
        action=action,
        version=version,
        text=text,
        expected_epoch=expected_epoch,
        expires_at_ms=time.time_ns() // 1_000_000 + expires_ms,
        by=_operator(),
    )


def publish(producer: Producer, asked: Command) -> None:
    """Write the command, and wait until it is acknowledged."""
    producer.send(_record(asked))


def send(connection: Connection, asked: Command) -> None:
    """Publish the command without waiting for its decision."""
    producer = connection.bus().producer()
    try:
        publish(producer, asked)
    finally:
        producer.close()


def withdraw(producer: Producer, asked: Command) -> None:
    """Take a command back: a registry that has not decided on it yet will not carry it out.

    Raises BusError if that could not be written within seconds.
    """
    producer.send(_record(asked.model_copy(update={"expires_at_ms": 0})), _WITHDRAWAL_S)


def ask(producer: Producer, view: View, asked: Command, timeout_s: float) -> Decision:
    """Publish the command and wait for its decision; raises LocalError if none comes in time."""
    publish(producer, asked)
    return view.wait(f"the decision on {asked.action}", partial(decision_on, asked), timeout_s)


def decision_on(asked: Command, view: View) -> Decision | None:
    """The answer to a command, once there is one."""
    return view.ledger.commands.decisions.get(asked.command_id)


def decided(connection: Connection, asked: Command, expires_ms: int) -> Decision:
    """Publish the command and wait for its one decision, telling who is not there to make it.

    Raises OperateError if none comes before it expires. Whatever else ends the wait, an interrupt (KeyboardInterrupt)
    or a refusal of Kafka's, withdraws the command, says what became of it, and is raised again.
    """
    timeout_s = expires_ms / 1000 + _GRACE_S
    view, producer = View(connection.bus(), asked.pipeline), connection.bus().producer()
    try:
        publish(producer, asked)
        connection.say(f"waiting for the registry's decision on command {asked.command_id} …")
        return patiently(
            view,
            connection,
            f"the decision on {asked.action}",
            partial(decision_on, asked),
            timeout_s,
            hint=f"The command stays valid for {expires_ms / 1000:,.0f} s; Ctrl-C withdraws it.",
        )
    except (KeyboardInterrupt, BusError):
        connection.say(f"withdrawing command {asked.command_id} …")
        connection.say(_withdrawn(view, producer, asked))
        raise
    except LocalError as error:
        raise OperateError(
            f"no decision on command {asked.command_id} came within {timeout_s:.0f} s, and it has expired: it will not "
            "be carried out. Is the registry running? `freshet run registry` starts it."
        ) from error
    finally:
        producer.close()
        view.close()


def _withdrawn(view: View, producer: Producer, asked: Command) -> str:
    """Take the command back; what became of it in a sentence: a registry that is there may have been quicker."""
    try:
        withdraw(producer, asked)
    except BusError as error:
        return (
            f"it could not be withdrawn: {error} A registry may carry it out until {clock_time(asked.expires_at_ms)} "
            f"UTC; `freshet model status --pipeline {asked.pipeline}` shows whether it has."
        )
    try:
        decision = view.wait("the last word", partial(decision_on, asked), _LAST_WORD_S)
    except (LocalError, BusError):
        return "withdrawn: whenever a registry reads it, it will not be carried out."
    return f"{'too late, it was carried out' if decision.verdict == 'done' else 'withdrawn'}: {decision.reason}"


def _record(asked: Command) -> Send:
    return Send("commands", [asked.pipeline.encode()], [encode(asked)])


def _operator() -> str:
    """Who asks, for the audit."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
