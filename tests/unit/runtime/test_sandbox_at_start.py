"""What the sandbox cannot guard is said at once by whoever runs other people's code in it."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from freshet.contracts.topic_table import TopicNames
from freshet.models.fork_server import ForkServer
from freshet.models.sandbox import SandboxError
from freshet.registry import service as registry
from freshet.retraining import service as retraining
from freshet.runtime import sandbox_at_start
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.service import Context
from freshet.runtime.settings import load_settings

NAMES = TopicNames("", "")


@pytest.mark.parametrize("service", [registry, retraining])
@pytest.mark.parametrize(
    ("found", "events"),
    [
        ((), []),
        (("it could open files (ENOSYS)",), ["sandbox_unguarded"]),
        (SandboxError("no"), ["sandbox_does_not_start"]),
    ],
)
def test_what_the_sandbox_cannot_guard_is_said_at_start(
    service: Any, found: Any, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line in the log that names it; none where all is guarded. The registry says so, and so does retraining."""

    def look() -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(sandbox_at_start, "unguarded", look)
    monkeypatch.setattr(ForkServer, "start", lambda _: None)
    with capture_logs() as logs:
        service.SERVICE.runner(Context(NAMES, load_settings("none:1"), MemoryBus(MemoryCluster(), NAMES)))
    assert [line["event"] for line in logs] == events
