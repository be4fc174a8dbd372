"""A gateway as a process, and a caller of it that knows only HTTP."""

import json
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

from freshet.lab.ports import free_port
from freshet.lab.supervisor import Supervisor

_START_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class OpenGateway:
    """Where it is."""

    address: str

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer; OSError if there is none."""
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read())

    def get(self, path: str) -> str:
        """The text of an answer."""
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return str(answer.read().decode())

    def tail(self, pipeline: str) -> ClientConnection:
        """A reader of the pipeline's predictions."""
        return connect(f"{self.address.replace('http', 'ws', 1)}/pipelines/{pipeline}/predictions/tail")

    def wait(self, path: str) -> None:
        """Until it answers there: /live, or /ready once Kafka has answered it."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            try:
                self.get(path)
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"{path} gave no good answer within {_START_S:.0f} s")


def gateway(
    supervisor: Supervisor, bootstrap: str, namespace: str, name: str = "gateway", until: str = "/ready"
) -> OpenGateway:
    """Start one, and wait until it answers at `until`; it ends with its supervisor."""
    port = free_port()
    command = [sys.executable, "-m", "freshet.cli", "run", "gateway", "--http-port", str(port)]
    env = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "FRESHET_NAMESPACE": namespace}
    supervisor.start(name, command, env)
    found = OpenGateway(f"http://127.0.0.1:{port}")
    found.wait(until)
    return found
