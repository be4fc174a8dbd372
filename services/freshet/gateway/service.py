"""The gateway as a service: `freshet run gateway`. One for all pipelines of a namespace; several may run."""

import threading
from importlib.util import find_spec

from freshet.runtime.service import EdgeService
from freshet.runtime.settings import Settings, SettingsError


def _run(settings: Settings, stop: threading.Event) -> int:
    if missing := [name for name in ("starlette", "uvicorn", "websockets") if find_spec(name) is None]:
        raise SettingsError(
            f"the gateway needs {' and '.join(missing)}, which is not installed: pip install 'freshet[gateway]'."
        )
    from freshet.gateway.listening import listen  # noqa: PLC0415  (it needs what was just looked for)

    listen(settings, stop)
    return 0


SERVICE = EdgeService(
    name="gateway",
    run=_run,
    reads=("pipelines", "predictions", "dead-letters"),
    writes=("events", "feedback"),
)
