"""What an operator asks of the registry: a command is a record, and gets exactly one decision."""

import getpass
import socket
import time
import uuid
from functools import partial

from freshet.avro.control import encode
from freshet.contracts.messages import Action, Command, Decision
from freshet.operate.view import View
from freshet.runtime.bus.protocol import Producer, Send


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
    producer.send(Send("commands", [asked.pipeline.encode()], [encode(asked)]))


def withdraw(producer: Producer, asked: Command) -> None:
    """Take a command back: a registry that has not decided on it yet will not carry it out."""
    publish(producer, asked.model_copy(update={"expires_at_ms": 0}))


def ask(producer: Producer, view: View, asked: Command, timeout_s: float) -> Decision:
    """Publish the command and wait for its decision; raises LocalError if none comes in time."""
    publish(producer, asked)
    return view.wait(f"the decision on {asked.action}", partial(decision_on, asked), timeout_s)


def decision_on(asked: Command, view: View) -> Decision | None:
    """The answer to a command, once there is one."""
    return view.ledger.commands.decisions.get(asked.command_id)


def _operator() -> str:
    """Who asks, for the audit."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
