"""What can go wrong on this machine, as opposed to in the platform."""

from freshet.contracts.errors import FreshetError


class LocalError(FreshetError):
    """A local broker or process cannot do what was asked; the message says why and what to do."""
