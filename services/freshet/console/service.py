"""The console as a service: `freshet run console`. One for all pipelines of a namespace."""

import threading
from importlib.util import find_spec
from typing import Final

from freshet.console.core.folded import RECENT, WHOLE
from freshet.operate.lag.lag_reader import ROLES
from freshet.runtime.service import EdgeService
from freshet.runtime.settings import Settings, SettingsError


def _run(settings: Settings, stop: threading.Event) -> int:
    if missing := [name for name in ("starlette", "uvicorn", "jinja2") if find_spec(name) is None]:
        raise SettingsError(
            f"the console needs {' and '.join(missing)}, which is not installed: pip install 'freshet[console]'."
        )
    from freshet.console.serving import serve  # noqa: PLC0415  (it needs what was just looked for)

    serve(settings, stop)
    return 0


_LOOKED_UP: Final = ("artifacts", *ROLES)
"""Single records: where somebody asks for them, and the next ones of each group for its lag."""

SERVICE = EdgeService(
    name="console",
    run=_run,
    reads=(*WHOLE, *RECENT, *_LOOKED_UP),
    writes=("commands", "dead-letters", "events"),
)
