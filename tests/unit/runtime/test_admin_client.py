"""A client for administration whose owner is garbage is not destroyed by its own thread."""

import subprocess
import sys
from typing import Final

_DROPPED_IN_A_CYCLE: Final = """
import gc, threading
from confluent_kafka.admin import ConfigResource, ResourceType
from freshet.runtime.bus.kafka.admin_client import admin_client

class Owner:
    def __init__(self):
        self.itself = self  # only the garbage collector can free it
        self.client = admin_client(self, {"bootstrap.servers": "127.0.0.1:1", "log_level": 0})

gc.disable()
collected = threading.Event()
owner = Owner()
asked = owner.client.describe_configs([ConfigResource(ResourceType.TOPIC, "any")], request_timeout=1.0)
for answer in asked.values():
    answer.add_done_callback(lambda _: (gc.collect(), collected.set()))
del owner, asked, answer
assert collected.wait(30)
print("lives")
"""


def test_garbage_found_by_the_clients_own_thread_ends_no_process() -> None:
    """The collector runs in the thread that answers, and finds the client whose answer it is."""
    ended = subprocess.run(
        [sys.executable, "-c", _DROPPED_IN_A_CYCLE], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "lives\n"), ended.stderr[-500:]
