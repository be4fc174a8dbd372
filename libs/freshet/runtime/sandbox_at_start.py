"""What the sandbox cannot guard on this machine, said when a service starts that runs other people's code in it."""

import structlog

from freshet.models.sandbox import SandboxError, unguarded


def say_unguarded(service: str, advice: str) -> None:
    """Log what hostile code could do here, with what to do about it; nothing if it could do nothing. Takes a second."""
    log = structlog.get_logger(service)
    try:
        missing = unguarded()
    except SandboxError as error:
        log.error("sandbox_does_not_start", error=str(error))
        return
    if missing:
        log.warning("sandbox_unguarded", missing=missing, advice=advice)
